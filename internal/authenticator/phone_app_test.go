package authenticator

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/internal/push"
)

func TestOnlyTheAppIsAnswered(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	for what, change := range map[string]func(*http.Request){
		"another site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"the portal":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"a form":        func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		"no secret":     func(r *http.Request) { r.Header.Del("Authorization") },
		"another's":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 43)) },
		"a long secret": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 10000)) },
	} {
		if status := k.post("/api/requests", h.bearer, struct{}{}, nil, change); status < 400 || status >= 500 {
			t.Errorf("%s: %d", what, status)
		}
	}
	for _, endpoint := range []string{"https://127.0.0.1/x", "https://169.254.169.254/latest/meta-data/", "http://push.example.com/x", "https://[::1]/"} {
		if status := k.post("/api/subscription", h.bearer, map[string]any{"subscription": map[string]any{"endpoint": endpoint, "keys": map[string]string{"p256dh": "x", "auth": "y"}}}, nil); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", endpoint, status)
		}
	}
}

// TestAnAnswerReachesTheOtherNodeWithinASecond asks on one node and approves on
// another: two servers, each with a store of its own over one database. What was
// approved on the second goes on at the first, and is spent there for both.
func TestAnAnswerReachesTheOtherNodeWithinASecond(t *testing.T) {
	k := newRig(t)
	h := k.paired(k.owner)
	a := k.mustAsk(k.owner, "s1")
	second := k.openStore()
	h.k = &rig{Server: &Server{
		Store: second, Origin: k.Origin, SiteName: k.SiteName, Notices: k.Notices, Address: k.Address, Report: k.Report, Now: k.Now,
	}, t: t, db: second, factor: &approval.Factor{Store: second, Origin: appOrigin}}
	q := h.waits()[0]
	tapped := time.Now()
	if out, _ := h.approve(q, a.number); out.Outcome != "approved" {
		t.Fatal(out)
	}
	progress, err := k.factor.Progress(t.Context(), a.state, k.Now())
	if err != nil || progress != factors.ProgressReady {
		t.Errorf("%s %v", progress, err)
	}
	if err := k.verify(a); err != nil {
		t.Errorf("the first node does not go on: %v", err)
	}
	if err := h.k.verify(a); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("spent at the first node, and at the second: %v", err)
	}
	if open := h.waits(); len(open) != 0 {
		t.Errorf("%d requests still wait at the second node", len(open))
	}
	t.Logf("known to the other node after %s, which looks every 300 ms", time.Since(tapped))
}

func TestTheAppIsWholeAndStrict(t *testing.T) {
	files, err := NewFiles(Look{Name: "O'Neill's <app>", Languages: Languages(), Sites: []Site{{Issuer: "Portal", Origin: portal}}}, func(w http.ResponseWriter, _ *http.Request, status int) {
		w.WriteHeader(status)
	})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		files.ServeHTTP(w, httptest.NewRequest(http.MethodGet, appOrigin+path, nil))
		return w
	}
	page := get("/")
	if page.Code != http.StatusOK || strings.Contains(page.Body.String(), "<app>") || page.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	for _, word := range []string{"unsafe", "https:", "http:", "data:", "*"} {
		if policy := page.Header().Get("Content-Security-Policy"); policy == "" || strings.Contains(policy, word) {
			t.Errorf("the policy %q has %s", policy, word)
		}
	}
	var manifest struct {
		Name  string
		Icons []struct{ Src, Sizes, Purpose string }
	}
	if json.Unmarshal(get("/manifest.webmanifest").Body.Bytes(), &manifest) != nil || manifest.Name != "O'Neill's <app>" || len(manifest.Icons) != 3 {
		t.Errorf("%+v", manifest)
	}
	for _, icon := range manifest.Icons {
		if w := get(icon.Src); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("%s: %d", icon.Src, w.Code)
		}
	}
	for _, missing := range []string{"/index.html", "/vendor/qr/LICENSE", "/../server.go", "/nothing"} {
		if w := get(missing); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", missing, w.Code)
		}
	}
	worker := get("/worker.js").Body.String()
	for name := range files.all {
		if name != workerName && !strings.Contains(worker, `"`+name+`"`) {
			t.Errorf("the worker does not keep %s", name)
		}
	}
}

// TestASubscriptionThatIsGoneIsDroppedAndTold lets a service say that it has no
// such phone any more.
func TestASubscriptionThatIsGoneIsDroppedAndTold(t *testing.T) {
	came := make(chan string, 10)
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- r.URL.Path
		w.WriteHeader(map[string]int{"/gone": http.StatusGone, "/there": http.StatusCreated}[r.URL.Path])
	}))
	defer service.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)
	k := newRig(t)
	var err error
	if k.Push, err = push.New(appOrigin, func(n byte) []byte { return bytes.Repeat([]byte{n + 1}, 32) }, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	k.factor.Wake = k.Server.Wake
	h, second := k.paired(k.owner), k.paired(k.owner)
	browser, _ := ecdh.P256().GenerateKey(rand.Reader)
	text := base64.RawURLEncoding.EncodeToString
	for phone, path := range map[*handset]string{h: "/gone", second: "/there"} {
		status := k.post("/api/subscription", phone.bearer, map[string]any{"subscription": map[string]any{
			"endpoint": service.URL + path, "keys": map[string]string{"p256dh": text(browser.PublicKey().Bytes()), "auth": text(make([]byte, 16))},
		}}, nil)
		if status != http.StatusOK {
			t.Fatalf("subscribe: %d", status)
		}
	}
	a := k.mustAsk(k.owner, "s1")
	if both := []string{<-came, <-came}; !slices.Contains(both, "/gone") || !slices.Contains(both, "/there") {
		t.Errorf("told were %v", both)
	}
	var prompt factors.Prompt
	for deadline := time.Now().Add(90 * time.Second); len(prompt.Unreached) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if prompt, _, err = k.factor.Prepare(t.Context(), a.scope, k.held(k.owner), a.state, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(prompt.Unreached) != 1 {
		t.Errorf("the page says that %v cannot be told", prompt.Unreached)
	}
	k.mustAsk(k.owner, "s2")
	if path := <-came; path != "/there" {
		t.Errorf("told was %s", path)
	}
}
