package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// inJSON makes a request one that a script sends, with a body in JSON.
func inJSON(body string) func(*http.Request) {
	return func(r *http.Request) {
		fetch(r)
		r.Header.Set("Content-Type", "application/json")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
}

func bearing(token string) func(*http.Request) {
	return func(r *http.Request) {
		fetch(r)
		r.Header.Set("Authorization", "Bearer "+token)
	}
}

// tokenOf is the bearer token that a login was answered with, "" for none.
func tokenOf(p *page) string {
	var said struct {
		Token string `json:"access_token"`
	}
	_ = json.Unmarshal([]byte(p.body), &said)
	return said.Token
}

func TestNodeREDBehindTheGateway(t *testing.T) {
	g, app := startExample(t, "node-red", func(o legacytest.Options) *legacytest.App { return legacytest.StartNodeRED(t, o) })
	login := func(b *browser, who legacytest.Account) *page {
		return b.do("POST", "/auth/token", url.Values{"client_id": {"node-red-editor"}, "grant_type": {"password"}, "scope": {""}, "username": {who.Username}, "password": {who.Password}}, fetch)
	}
	t.Run("by its form", func(t *testing.T) { walkTokens(t, g, app, login) })
	t.Run("in JSON", func(t *testing.T) { walkJSON(t, app) })
}

func walkJSON(t *testing.T, app *legacytest.App) {
	t.Helper()
	at, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, strings.ReplaceAll(`{{site}} {
	stepgate {
		enrolment self
		sign_in legacy_form {
			submit POST /auth/token
			username_field json /username
			password_field json /password
			success status 200
			success body "access_token"
			identity probe /settings ~"user":\{"username":"([^"]+)"~
			login_page /
		}
		policy {
			public /auth/login
			require mfa POST PUT /*
			require signed_in POST /auth/token
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`, "~", "`"), httputil.NewSingleHostReverseProxy(at))
	login := func(b *browser, who legacytest.Account) *page {
		return b.do("POST", "/auth/token", nil, inJSON(`{"client_id":"node-red-editor","grant_type":"password","scope":"","username":"`+who.Username+`","password":"`+who.Password+`"}`))
	}
	b := walkTokens(t, g, app, login)
	for name, body := range map[string]string{
		"no name": `{"client_id":"node-red-editor","grant_type":"password","password":"x"}`, "twice": `{"username":"joe","Username":"admin","password":"x"}`,
		"a list": `{"username":["joe"],"password":"x"}`, "no JSON": `{"username":"joe"`,
	} {
		if p := b.do("POST", "/auth/token", nil, inJSON(body)); p.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, p.status)
		}
	}
	if p := b.do("POST", "/auth/token", url.Values{"username": {"admin"}, "password": {app.Accounts[0].Password}}, fetch); p.status != http.StatusBadRequest {
		t.Errorf("a form: %d", p.status)
	}
	if p := b.do("POST", "/elsewhere", nil, inJSON(`{"user":{"username":"admin","password":"x"}}`)); p.status != http.StatusForbidden {
		t.Errorf("both fields elsewhere: %d", p.status)
	}
}

// walkTokens is what holds of every application that hands out tokens.
func walkTokens(t *testing.T, g *rig, app *legacytest.App, login func(*browser, legacytest.Account) *page) *browser {
	t.Helper()
	admin, joe := app.Accounts[0], app.Accounts[1]
	b := g.browser()
	if p := login(b, legacytest.Account{Username: admin.Username, Password: "not-the-password"}); p.status == http.StatusOK || b.signedIn() {
		t.Fatalf("a wrong password: %d", p.status)
	}
	token := tokenOf(login(b, admin).want(200, ""))
	if token == "" {
		t.Fatal("no token")
	}
	b.get("/.stepgate/status", fetch).wantBody(`"username":"admin"`)
	b.get("/flows", bearing(token)).want(200, "").wantBody(`"id":"f1"`)
	deploy := func(b *browser, token string) *page {
		return b.do("POST", "/flows", nil, inJSON(`[{"id":"f1","type":"tab","label":"Locks"}]`), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	}
	if p := deploy(b, token); p.status != http.StatusUnauthorized || !strings.Contains(p.body, "mfa") {
		t.Errorf("a password alone deploys: %d %s", p.status, p.body)
	}

	// A token without its session, or with another's, reaches nothing.
	bare, other := g.browser(), g.browser()
	own := tokenOf(login(other, joe).want(200, ""))
	for name, p := range map[string]*page{
		"no session":           bare.get("/flows", bearing(token)),
		"another's session":    other.get("/flows", bearing(token)),
		"in the address":       other.get("/flows?access_token="+token, fetch),
		"in escapes":           other.get("/flows?access%5ftoken="+url.PathEscape(token), fetch),
		"in a body":            other.do("POST", "/settings/user", nil, inJSON(`{"access_token":"`+token+`"}`)),
		"another scheme":       other.get("/flows", fetch, func(r *http.Request) { r.SetBasicAuth(admin.Username, admin.Password) }),
		"two headers":          other.get("/flows", fetch, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + own, "Bearer " + token} }),
		"on a public path":     bare.get("/auth/login/../../flows", bearing(token)),
		"nobody's":             other.get("/flows", bearing(token+"x")),
		"no token, no session": bare.get("/flows", fetch),
	} {
		if p.status < 400 || strings.Contains(p.body, `"id":"f1"`) {
			t.Errorf("%s: %d %.200s", name, p.status, p.body)
		}
	}
	other.get("/flows", bearing(own)).want(200, "")

	b.enrol(b.get("/.stepgate/enrol").atEnrolment())
	if p := deploy(b, token); p.status != http.StatusNoContent {
		t.Errorf("with a second factor: %d %s", p.status, p.body)
	}
	return b
}
