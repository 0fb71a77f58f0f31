package challenge

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/policy"
)

// begin interrupts a request and gives the answer.
func (k *rig) begin(b *browser, r *http.Request) *http.Response {
	k.t.Helper()
	needs, err := k.Policy.Required([]string{policy.LevelMFA})
	if err != nil {
		k.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	i := Interrupted{Visitor: b.visitor(), Target: r.URL.RequestURI(), Needs: needs, Names: []string{policy.LevelMFA}, Reference: "AB12"}
	if err := k.Begin(w, r, i); err != nil {
		k.t.Fatal(err)
	}
	b.Keep(w.Result())
	return w.Result()
}

// TestEachKindOfRequestIsAnsweredInItsOwnWay is the table of the contract,
// section 4.
func TestEachKindOfRequestIsAnsweredInItsOwnWay(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("joe"))
	stranger, joe := k.browser(), k.browser()
	joe.signIn(k.door(joe, "/", policy.LevelSignedIn), "joe")
	as := func(r *http.Request, mode, dest string) *http.Request {
		r.Header.Set("Sec-Fetch-Mode", mode)
		r.Header.Set("Sec-Fetch-Dest", dest)
		return r
	}
	get := func(b *browser) *http.Request { return b.Request(http.MethodGet, "/cases/1?q=a", nil) }
	for name, row := range map[string]struct {
		of     *browser
		ask    *http.Request
		status int
		door   string
	}{
		"a stranger's navigation":   {stranger, get(stranger), 303, "/.stepgate/sign-in"},
		"a person's navigation":     {joe, get(joe), 303, "/.stepgate/challenge"},
		"a stranger's fetch":        {stranger, as(get(stranger), "cors", "empty"), 401, "/.stepgate/sign-in"},
		"a person's fetch":          {joe, as(get(joe), "cors", "empty"), 401, "/.stepgate/challenge"},
		"a picture":                 {joe, as(get(joe), "no-cors", "image"), 401, "/.stepgate/challenge"},
		"a WebSocket":               {joe, as(get(joe), "websocket", "websocket"), 401, "/.stepgate/challenge"},
		"a frame":                   {joe, as(get(joe), "navigate", "iframe"), 401, "/.stepgate/challenge"},
		"a stranger's form":         {stranger, stranger.Request(http.MethodPost, "/cases/1", url.Values{"a": {"1"}}), 303, "/.stepgate/sign-in"},
		"a person's form":           {joe, joe.Request(http.MethodPost, "/cases/1", url.Values{"a": {"1"}}), 303, "/.stepgate/challenge"},
		"a form by a page's script": {joe, as(joe.Request(http.MethodPost, "/cases/1", url.Values{"a": {"1"}}), "cors", "empty"), 401, "/.stepgate/challenge"},
	} {
		answer := k.begin(row.of, row.ask)
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != row.status {
			t.Errorf("%s: %s", name, answer.Status)
		}
		switch {
		case row.status == 303:
			if to := answer.Header.Get("Location"); !strings.HasPrefix(to, row.door+"?") {
				t.Errorf("%s: to %s", name, to)
			}
		case strings.Contains(row.ask.Header.Get("Sec-Fetch-Dest"), "frame"):
			if !strings.Contains(string(body), `href="`+row.door+"?") || !strings.Contains(string(body), `target="_top"`) {
				t.Errorf("%s: no link to %s for the whole window:\n%s", name, row.door, body)
			}
		default:
			var problem struct {
				Levels    []string `json:"levels"`
				Challenge string   `json:"challenge_url"`
				Reference string   `json:"reference"`
			}
			if err := json.Unmarshal(body, &problem); err != nil || !slices.Equal(problem.Levels, []string{"mfa"}) || problem.Reference != "AB12" ||
				!strings.HasPrefix(problem.Challenge, row.door+"?") {
				t.Errorf("%s: %s, %v", name, body, err)
			}
			if asked := answer.Header.Get("WWW-Authenticate"); !strings.HasPrefix(asked, `Stepgate error="insufficient_user_authentication", acr_values="mfa"`) {
				t.Errorf("%s: %s", name, asked)
			}
		}
	}
}

// TestAnInterruptedFormGoesOnOnce keeps a form, and sends it on by the button
// of the page that follows the proof.
func TestAnInterruptedFormGoesOnOnce(t *testing.T) {
	k := newRig(t, nil)
	joe := k.person("joe")
	k.holdsApp(joe)
	b := k.browser()
	b.signIn(k.door(b, "/", policy.LevelSignedIn), "joe")
	sent := url.Values{"amount": {"12"}, "to": {"an account & more"}}
	answer := k.begin(b, b.Request(http.MethodPost, "/payments?a=1", sent))
	page := b.open(answer.Header.Get("Location"))
	if page = b.send(page, map[string]string{"code": "000000"}); page.status != http.StatusBadRequest {
		t.Fatalf("a wrong code: %d at %s", page.status, page.at)
	}
	page = b.send(page, map[string]string{"code": k.code([]byte(rigSeed))})
	if page.action != "/payments?a=1" || strings.Contains(page.text, "an account") {
		t.Fatalf("the button's form leads to %q:\n%s", page.action, page.text)
	}
	press := func(of *browser) (*kept.Request, sheet) {
		r := of.Request(http.MethodPost, page.action, url.Values{kept.Field: page.fields[kept.Field]})
		w := httptest.NewRecorder()
		q, _, err := k.Continue(w, r, of.visitor(), page.action)
		if err != nil {
			t.Fatal(err)
		}
		return q, sheet{status: w.Code, text: w.Body.String(), to: w.Result().Header.Get("Location")}
	}
	another := k.browser()
	another.signIn(k.door(another, "/", policy.LevelSignedIn), "joe")
	if q, said := press(another); q != nil || said.status != http.StatusGone {
		t.Errorf("another browser of the same person: %+v, %d", q, said.status)
	}
	q, _ := press(b)
	if q == nil || q.Target != "/payments?a=1" || q.Method != http.MethodPost {
		t.Fatalf("the button finds %+v", q)
	}
	if err := k.Kept.Redeem(t.Context(), *q, audit.Event{At: k.clock(), Name: audit.RequestContinued}); err != nil {
		t.Fatal(err)
	}
	if q, said := press(b); q != nil || said.status != http.StatusConflict {
		t.Errorf("a second press: %+v, %d", q, said.status)
	}
}

func TestSigningOutAsksFirst(t *testing.T) {
	k := newRig(t, nil)
	k.person("joe")
	b := k.browser()
	b.signIn(k.door(b, "/", policy.LevelSignedIn), "joe")
	page := b.open("/.stepgate/sign-out")
	if b.visitor() == nil {
		t.Fatal("the page alone has signed out")
	}
	forged := page
	forged.fields = url.Values{}
	if said := b.send(forged, nil); said.status != http.StatusForbidden || b.visitor() == nil {
		t.Errorf("a form without its token: %d", said.status)
	}
	copied := b.fork()
	if said := b.send(page, nil); said.status != http.StatusOK || strings.Contains(said.text, "<form") {
		t.Errorf("signing out: %d\n%s", said.status, said.text)
	}
	if b.visitor() != nil || copied.visitor() != nil {
		t.Error("the session goes on")
	}
	if value, there := b.Cookies[k.Place.Cookie]; there {
		t.Errorf("the cookie is still there: %q", value)
	}
	if !slices.Contains(k.events(), audit.SessionLogout) {
		t.Error("the trail does not know of it")
	}
}

// TestGuessesElsewhereDoNotStopAKnownBrowser is what the contract says of
// throttling, section 8: nobody shuts somebody else out of their browser.
func TestGuessesElsewhereDoNotStopAKnownBrowser(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("joe"))
	own := k.browser()
	p := own.signIn(k.door(own, "/x", policy.LevelMFA), "joe")
	if p = own.send(p, map[string]string{"code": k.code([]byte(rigSeed))}); p.to != "/x" {
		t.Fatalf("%d at %s", p.status, p.at)
	}
	own.send(own.open("/.stepgate/sign-out"), nil)
	fresh, stranger := k.browser(), k.browser()
	door := k.door(stranger, "/x", policy.LevelMFA)
	stopped := sheet{}
	for range 30 {
		stopped = stranger.send(stranger.open(door), map[string]string{"username": "joe", "password": "a guess"})
	}
	if stopped.status != http.StatusTooManyRequests {
		t.Fatalf("guesses go on: %d", stopped.status)
	}
	if s := fresh.signIn(k.door(fresh, "/x", policy.LevelMFA), "joe"); s.status != http.StatusTooManyRequests {
		t.Errorf("an unknown browser with the password: %d", s.status)
	}
	if s := own.signIn(k.door(own, "/x", policy.LevelMFA), "joe"); s.status != http.StatusOK || !strings.Contains(s.at, "/challenge/totp") {
		t.Errorf("the known browser: %d at %s", s.status, s.at)
	}
}

func TestPagesTakeNoOtherMethods(t *testing.T) {
	k := newRig(t, nil)
	b := k.browser()
	for _, page := range []string{"/sign-in", "/challenge", "/enrol", "/sign-out", "/challenge/password"} {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
			w := httptest.NewRecorder()
			k.pages.ServeHTTP(w, b.Request(method, "/.stepgate"+page, nil))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
				t.Errorf("%s %s: %d, Allow %q", method, page, w.Code, w.Header().Get("Allow"))
			}
		}
	}
}
