package caddymodule

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// carrierTest is run beside the provider of docs/extending.md, in a module of
// its own: a gateway's configuration names the provider, and a person's
// enrolment sends a text by it.
const carrierTest = `package carrier

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"

	_ "github.com/stepgate/stepgate/caddymodule"
	"github.com/stepgate/stepgate/factors/delivery"
)

func load(t *testing.T, options string) (*Carrier, error) {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n\tstepgate {\n\t\tsms carrier "+options+"\n\t}\n}\n"), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	var c caddy.Config
	var parts struct{ Apps struct{ Stepgate struct{ SMS *Carrier } } }
	if err := errors.Join(json.Unmarshal(config, &c), json.Unmarshal(config, &parts)); err != nil {
		return nil, err
	}
	if err := caddy.Validate(&c); err != nil {
		return nil, err
	}
	provider := parts.Apps.Stepgate.SMS
	return provider, provider.Provision(caddy.Context{})
}

func TestProvider(t *testing.T) {
	t.Setenv("CARRIER_TOKEN", "secret")
	status, seen := http.StatusAccepted, ""
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		json.NewDecoder(r.Body).Decode(&body)
		seen = r.Header.Get("Authorization") + " " + r.Header.Get("Idempotency-Key") + " " + body["to"] + " " + body["text"]
		w.WriteHeader(status)
	}))
	defer api.Close()
	provider, err := load(t, api.URL+" {\n\t\t\ttoken {env.CARRIER_TOKEN}\n\t\t}")
	if err != nil {
		t.Fatal(err)
	}
	m := delivery.Message{ID: "ID1", Channel: delivery.SMS, To: "+447700900609", Body: "123456"}
	if err := provider.Send(t.Context(), m); err != nil || seen != "Bearer secret ID1 +447700900609 123456" {
		t.Errorf("%q, %v", seen, err)
	}
	for answer, want := range map[int]error{429: delivery.ErrTemporary, 422: delivery.ErrRefused, 401: delivery.ErrPermanent} {
		status = answer
		if err := provider.Send(t.Context(), m); !errors.Is(err, want) || strings.Contains(err.Error(), "900609") {
			t.Errorf("%d: %v", answer, err)
		}
	}
	for _, wrong := range []string{"", api.URL + " {\n\t\t\ttocken x\n\t\t}"} {
		if _, err := load(t, wrong); err == nil || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
`

// rosterTest is run beside the sign-in source of docs/extending.md: a gateway
// that names it signs somebody in, and the app gets to know who.
const rosterTest = `package roster

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/stepgate/stepgate/caddymodule"
)

var hidden = regexp.MustCompile("<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"")

func TestSource(t *testing.T) {
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("name") != "jo" || r.PostFormValue("password") != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "{\"Number\":\"4711\",\"Name\":\"Jo Bloggs\",\"Teams\":[\"staff\"]}")
	}))
	defer system.Close()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "app: %s, %s", r.Header.Get("Remote-Name"), r.Header.Get("Remote-Groups"))
	}))
	defer app.Close()
	site := "http://" + os.Getenv("SITE")
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\n\tadmin off\n\tpersist_config off\n\tauto_https off\n\tstepgate {\n\t\tstore sqlite "+filepath.Join(t.TempDir(), "stepgate.db")+"\n\t}\n}\n"+site+" {\n\tstepgate {\n\t\tsign_in roster "+system.URL+"\n\t\tpolicy {\n\t\t\tdefault signed_in\n\t\t}\n\t}\n\treverse_proxy "+strings.TrimPrefix(app.URL, "http://")+"\n}\n"), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	defer caddy.Stop()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	read := func(answer *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	signIn := func(password string) string {
		r, _ := http.NewRequest(http.MethodGet, site+"/", nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		page := read(browser.Do(r))
		form := url.Values{"username": {"jo"}, "password": {password}}
		for _, field := range hidden.FindAllStringSubmatch(page, -1) {
			form.Set(field[1], field[2])
		}
		r, _ = http.NewRequest(http.MethodPost, site+"/.stepgate/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return read(browser.Do(r))
	}
	if page := signIn("wrong"); strings.Contains(page, "app:") {
		t.Errorf("a wrong password: %s", page)
	}
	if page := signIn("right"); page != "app: Jo Bloggs, staff" {
		t.Errorf("a right password: %s", page)
	}
}
`

// TestTheModulesOfTheDocumentationWork builds the Go files of
// docs/extending.md as somebody else's modules and runs them.
func TestTheModulesOfTheDocumentationWork(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules of their own")
	}
	for name, test := range map[string]string{"carrier": carrierTest, "roster": rosterTest} {
		t.Run(name, func(t *testing.T) { runDocumented(t, name, test) })
	}
}

func runDocumented(t *testing.T, name, test string) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	opening := "// Package " + name
	_, rest, _ := strings.Cut(read("docs/extending.md"), "```go\n"+opening)
	source, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatalf("docs/extending.md shows no package %s", name)
	}
	write(name+".go", opening+source)
	write(name+"_test.go", test)
	// Its module needs what ours needs, at the same versions.
	module := strings.Replace(read("go.mod"), "module github.com/stepgate/stepgate", "module example.org/"+name, 1)
	write("go.mod", module+fmt.Sprintf("\nrequire github.com/stepgate/stepgate v0.0.0\n\nreplace github.com/stepgate/stepgate => %s\n", root))
	write("go.sum", read("go.sum"))
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=all", "-count=1", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "SITE="+freeAddress(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
}
