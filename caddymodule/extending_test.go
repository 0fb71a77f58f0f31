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

// TestTheProviderOfTheDocumentationWorks builds the Go file of
// docs/extending.md as somebody else's module and runs it.
func TestTheProviderOfTheDocumentationWorks(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module of its own")
	}
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
	_, rest, _ := strings.Cut(read("docs/extending.md"), "```go\n// Package carrier")
	source, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("docs/extending.md shows no package carrier")
	}
	write("carrier.go", "// Package carrier"+source)
	write("carrier_test.go", carrierTest)
	// Its module needs what ours needs, at the same versions.
	module := strings.Replace(read("go.mod"), "module github.com/stepgate/stepgate", "module example.org/carrier", 1)
	write("go.mod", module+fmt.Sprintf("\nrequire github.com/stepgate/stepgate v0.0.0\n\nreplace github.com/stepgate/stepgate => %s\n", root))
	write("go.sum", read("go.sum"))
	for _, args := range [][]string{{"vet", "."}, {"test", "-count=1", "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
