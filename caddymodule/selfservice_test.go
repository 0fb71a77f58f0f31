package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// ownSite asks for a second factor on some pages only, and takes tokens.
const ownSite = `{{site}} {
	stepgate {
		pages {
			name "The Portal"
			help "Call 0300 000 0000"
			language en cy
		}
		policy {
			level program {
				accept token
			}
			public            /public/*
			require mfa       /cases/*
			require program   /dav/*
			require program mfa /both/*
			default           signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

// TestAPersonChangesTheirOwnAccount walks from the well-known address to a
// changed password, whose form wants a proof of its own.
func TestAPersonChangesTheirOwnAccount(t *testing.T) {
	g := startGateway(t, testHead+ownSite, nil)
	joe := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	p := b.get("/.well-known/change-password").at("/account")
	for _, want := range []string{"Authenticator app", "Backup codes", "This browser", "Two-factor sign-in", "Signed in with"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, p.body)
		}
	}
	p = b.choose(p, "/account/password").at("/challenge/totp")
	if !strings.Contains(p.body, "You are about to change your password") {
		t.Errorf("the page of the proof does not say what for:\n%s", p.body)
	}
	p = b.submit(p, "code", map[string]string{"code": b.code(), "action": "verify"}).at("/account/password")
	p = b.submit(p, "new_password", map[string]string{"password": "wrong", "new_password": newPassword})
	if p.status != http.StatusForbidden {
		t.Fatalf("a wrong present password: %d", p.status)
	}
	p = b.submit(p, "new_password", map[string]string{"password": password1, "new_password": newPassword}).at("/account")
	if !strings.Contains(p.body, "Your password was changed") {
		t.Errorf("it does not say what happened:\n%s", p.body)
	}
	if fresh := g.browser(); fresh.signIn(fresh.get("/x"), "joe").status != http.StatusForbidden {
		t.Error("the old password is still let in")
	}
	held := g.credentials(joe.ID)
	if p := b.get("/.stepgate/account/remove?credential=" + string(held[0].ID)); p.status != http.StatusConflict || !strings.Contains(p.body, "You still need this") {
		t.Errorf("the last that a page needs: %d\n%s", p.status, p.body)
	}
	p = b.choose(b.get("/.stepgate/account"), "/account/add").at("/account/add")
	b.choose(p, "/enrol/webauthn").at("/challenge/totp")
	if p := g.browser().get("/.stepgate/account"); p.url.Path != "/.stepgate/sign-in" {
		t.Errorf("a stranger is at %s", p.url)
	}
}

// dav sends a request as a program does.
func (g *rig) dav(method, target string, change ...func(*http.Request)) *http.Response {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+target, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// token makes one for an account, for everything below /dav and more.
func (g *rig) token(owner account.Account, paths ...string) people.IssuedToken {
	g.t.Helper()
	made, err := active.Load().people.AddToken(g.t.Context(), people.Operator(), people.Who{ID: owner.ID}, people.NewToken{
		Label: "Script", Bounds: account.TokenBounds{Paths: paths, EndsAt: time.Now().Add(time.Hour)},
	}, "")
	if err != nil {
		g.t.Fatal(err)
	}
	return made
}

func TestATokenOpensWhatNamesItAndNothingElse(t *testing.T) {
	g := startGateway(t, testHead+ownSite, nil)
	joe := g.addUser("joe")
	made := g.token(joe, "/*")
	secret := string(made.Token.Reveal())
	narrow := string(g.token(joe, "/dav/a/*").Token.Reveal())
	basic := func(name, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(name, password) }
	}
	for _, c := range []struct {
		target string
		send   func(*http.Request)
		status int
	}{
		{"/dav/1", bearer(secret), 200}, {"/dav/1", basic("joe", secret), 200}, {"/dav/1", basic(secret, ""), 200},
		{"/dav/1", bearer(secret + "X"), 401}, {"/dav/1", func(*http.Request) {}, 401},
		{"/other", bearer(secret), 401}, {"/cases/1", bearer(secret), 401}, {"/both/1", bearer(secret), 401},
		{"/dav/a/1", bearer(narrow), 200}, {"/dav/b", bearer(narrow), 401}, {"/dav/a", basic("joe", narrow), 200},
	} {
		resp := g.dav("GET", c.target, c.send)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.target, resp.StatusCode, c.status)
		}
		if c.status == 200 {
			seen := g.last()
			if seen.Header.Get("Authorization") != "" || seen.Header.Get("Remote-User") != "joe" || strings.Contains(strings.Join(seen.Header["Cookie"], ""), "sgt_") {
				t.Errorf("%s: the app got %v", c.target, seen.Header)
			}
		}
	}
	if asked := g.dav("GET", "/dav/1").Header.Values("WWW-Authenticate"); len(asked) != 3 || !strings.HasPrefix(asked[0], "Stepgate ") || asked[2] != `Basic realm="The Portal", charset="UTF-8"` {
		t.Errorf("programs are asked with %q", asked)
	}
	if asked := g.dav("GET", "/dav/1", fetch).Header.Values("WWW-Authenticate"); len(asked) != 1 {
		t.Errorf("browsers are asked with %q", asked)
	}
	g.dav("GET", "/public/1", bearer(secret))
	if seen := g.last(); seen.Header.Get("Authorization") != "" || seen.Header.Get("Remote-User") != "" {
		t.Errorf("on a public path the app got %v", seen.Header)
	}
	if p := g.browser().get("/.stepgate/status", bearer(secret), fetch); !strings.Contains(p.body, `"signed_in":false`) {
		t.Errorf("a token is a session of the pages: %s", p.body)
	}
	if _, err := active.Load().people.RevokeToken(t.Context(), people.Operator(), people.Who{ID: joe.ID}, made.Credential.ID, ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return g.dav("GET", "/dav/1", bearer(secret)).StatusCode == 401 })
}

// TestTheUseOfATokenIsWrittenAndCounted looks at when a token was last used,
// and guesses others until no more are looked at.
func TestTheUseOfATokenIsWrittenAndCounted(t *testing.T) {
	g := startGateway(t, testHead+ownSite, nil)
	joe := g.addUser("joe")
	made := g.token(joe, "/dav/*")
	secret := string(made.Token.Reveal())
	g.dav("GET", "/dav/1", bearer(secret))
	r := active.Load()
	if err := r.uses.Write(t.Context(), r.store.TouchCredentials); err != nil {
		t.Fatal(err)
	}
	if held := g.credentials(joe.ID); len(held) != 1 || time.Since(held[0].LastUsedAt) > time.Minute {
		t.Errorf("%+v", held)
	}
	for range 45 {
		if g.dav("GET", "/dav/1", bearer("sgt_GUESS")).StatusCode == http.StatusTooManyRequests {
			if g.dav("GET", "/dav/1", bearer(secret)).StatusCode != 200 {
				t.Error("a token that is known has to wait for guesses")
			}
			return
		}
	}
	t.Error("guesses go on for ever")
}
