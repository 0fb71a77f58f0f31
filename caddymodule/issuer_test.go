package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// issuerSite signs people in at an issuer and nowhere else.
func issuerSite(i *legacytest.Issuer) string {
	return strings.NewReplacer("{{issuer}}", i.URL, "{{client}}", i.ClientID, "{{secret}}", i.ClientSecret).Replace(`{{site}} {
	stepgate {
		sign_in oidc {{issuer}} {
			client_id     {{client}}
			client_secret "{{secret}}"
			label         "the county"
		}
		enrolment self
		policy {
			require signed_in /
			require mfa       /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
`)
}

// atIssuer types a name at the provider's own pages and agrees to what they
// ask.
func (b *browser) atIssuer(p *page, name string) *page {
	b.t.Helper()
	for range 3 {
		if !strings.Contains(p.url.Path, "/interaction/") {
			return p
		}
		action, form := p.form("prompt")
		if form.Get("prompt") == "login" {
			form.Set("login", name)
			form.Set("password", "any")
		}
		p = b.do(http.MethodPost, p.url.ResolveReference(mustParse(action)).String(), form)
	}
	return p
}

func TestAnIssuerSignsPeopleInAndLeadsBackToTheVeryURL(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an OpenID provider")
	}
	g := startGateway(t, `{{site}} {
	respond "not yet"
}
`, nil)
	i := legacytest.StartIssuer(t, g.url+"/.stepgate/oidc", g.url+"/.stepgate/sign-out")
	g.load(issuerSite(i))

	b := g.browser()
	p := b.atIssuer(b.get("/cases/1?q=a%2Fb"), "joe")
	p = b.enrol(p.atEnrolment())
	seen := g.last()
	if p.status != http.StatusOK || seen == nil || seen.Line != "GET /cases/1?q=a%2Fb" {
		t.Fatalf("%d at %s: %+v", p.status, p.url, seen)
	}
	if seen.Header.Get("Remote-User") != "joe" || seen.Header.Get("Remote-Email") != "joe@county.test" || seen.Header.Get("Remote-Groups") != "clerks" {
		t.Errorf("the upstream is told %v", seen.Header)
	}
	if strings.Contains(seen.Header.Get("Cookie"), "stepgate_away") {
		t.Errorf("the upstream got %q", seen.Header.Get("Cookie"))
	}

	// An answer counts in the browser that left, and there once.
	other := g.browser()
	forged := other.do(http.MethodGet, "/.stepgate/oidc?"+url.Values{"code": {"x"}, "state": {"y"}, "iss": {i.URL}}.Encode(), nil)
	if forged.status != http.StatusForbidden {
		t.Errorf("an answer that nobody asked for: %d", forged.status)
	}
	other.get("/").want(http.StatusOK, "") // ends at the provider's page, not inside
	if last := g.last(); last != nil {
		t.Errorf("the upstream got %s", last.Line)
	}
}

// issuerGateway is a gateway whose people sign in at a provider that knows it.
func issuerGateway(t *testing.T) (*rig, *legacytest.Issuer) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an OpenID provider")
	}
	g := startGateway(t, `{{site}} {
	respond "not yet"
}
`, nil)
	i := legacytest.StartIssuer(t, g.url+"/.stepgate/oidc", g.url+"/.stepgate/sign-out")
	g.load(issuerSite(i))
	return g, i
}

// endAtIssuer agrees to be signed out at the provider's page.
func (b *browser) endAtIssuer(p *page) *page {
	b.t.Helper()
	action, form := p.form("xsrf")
	form.Set("logout", "yes")
	return b.do(http.MethodPost, p.url.ResolveReference(mustParse(action)).String(), form)
}

func TestSigningOutGoesOnAtTheIssuerAndComesBack(t *testing.T) {
	g, i := issuerGateway(t)
	b := g.browser()
	b.atIssuer(b.get("/"), "joe").want(http.StatusOK, "/")
	p := b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	if !strings.HasPrefix(p.url.String(), i.URL) {
		t.Fatalf("signed out and at %s, not at the issuer", p.url)
	}
	b.endAtIssuer(p).at("/sign-out")
	if p := b.get("/"); !strings.Contains(p.url.Path, "/interaction/") {
		t.Errorf("after signing out the issuer lets in without a question: %d at %s", p.status, p.url)
	}
}

func TestAnIssuersNewKeyIsBelievedAtOnce(t *testing.T) {
	g, i := issuerGateway(t)
	for _, name := range []string{"joe", "ann"} {
		b := g.browser()
		b.atIssuer(b.get("/"), name).want(http.StatusOK, "/")
		i.RollKeys(t)
	}
	b := g.browser()
	b.atIssuer(b.get("/"), "una").want(http.StatusOK, "/")
}

func TestTheIssuersLogoutEndsTheSession(t *testing.T) {
	g, i := issuerGateway(t)
	b, other := g.browser(), g.browser()
	b.atIssuer(b.get("/"), "joe").want(http.StatusOK, "/")
	other.atIssuer(other.get("/"), "joe").want(http.StatusOK, "/")
	// The person signs out at the issuer, which tells the gateway before it
	// answers.
	b.endAtIssuer(b.do(http.MethodGet, i.URL+"/session/end", nil))
	if p := b.get("/.stepgate/status", fetch); strings.Contains(p.body, `"signed_in":true`) {
		t.Errorf("after the issuer's logout: %s", p.body)
	}
	other.get("/").want(http.StatusOK, "/") // another session of the issuer's
	if p := g.browser().do(http.MethodPost, "/.stepgate/oidc", url.Values{"logout_token": {"x"}}); p.status != http.StatusBadRequest {
		t.Errorf("a token of nobody's: %d", p.status)
	}
}
