package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/crypto/bcrypt"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// sourcesSite signs people in with a directory, at an issuer and at a SAML
// provider, side by side. Another site leaves signing in to it, and on a third
// Caddy's own basic_auth has asked before.
const sourcesSite = `{{site}} {
	stepgate {
		sign_in ldap {{ldap}} {
			base_dn       ou=people,{{base}}
			bind_dn       {{reader}}
			bind_password {{password}}
			start_tls
			ca_file       {{ca}}
			change_password
		}
		sign_in oidc {{issuer}} {
			client_id     {{client}}
			client_secret "{{secret}}"
			label         "the county"
		}
		sign_in saml {{metadata}} {
			label       "the province"
			certificate cert.pem
			key         key.pem
			attribute   username http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier
		}
		enrolment self
		policy {
			require signed_in /
			require mfa       /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
{{other}} {
	stepgate {
		sign_in_at {{site}}
		policy {
			require mfa /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
{{named}} {
	basic_auth {
		lee {{hash}}
	}
	stepgate {
		sign_in trusted {http.auth.user.id}
		enrolment self
		policy {
			require mfa /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
`

// tabTo moves the focus with the tabulator until it is on what a selector
// names.
func (b *tab) tabTo(selector string) *tab {
	b.t.Helper()
	b.do(chromedp.WaitReady(chromedp.CSS(selector)))
	for range 60 {
		if evaluate[bool](b, `document.activeElement !== null && document.activeElement.matches('`+selector+`')`) {
			return b
		}
		b.do(chromedp.KeyEvent("\t"))
	}
	b.t.Fatalf("no way with the tabulator to %s at %s:\n%s", selector, b.url(), b.text())
	return b
}

// types types into fields that the tabulator leads to.
func (b *tab) types(fields ...string) *tab {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		b.tabTo(`[name="` + fields[i] + `"]`).do(chromedp.KeyEvent(fields[i+1]))
	}
	return b
}

// enter presses the enter key on what the tabulator leads to, and waits for the
// next page.
func (b *tab) enter(selector string) *tab {
	b.t.Helper()
	return b.tabTo(selector).leads("enter on "+selector, chromedp.KeyEvent("\r"))
}

// enrolByKeys makes an authenticator app the person's second factor.
func (b *tab) enrolByKeys() *tab {
	b.t.Helper()
	if b.url().Path == "/.stepgate/enrol" {
		b.enter(`main a[href*="/enrol/totp"]`)
	}
	b.at("/enrol/totp").readSecret()
	b.types("code", b.code()).enter(`main button[value="verify"]`)
	return b.enter(`main button[value="continue"]`)
}

// TestSigningInByEachSourceInABrowser goes with the keyboard alone from an
// address, by each source and an authenticator app, back to that address; and
// signs out of two sites and the issuer at once.
func TestSigningInByEachSourceInABrowser(t *testing.T) {
	c := startChromium(t)
	d := legacytest.StartDirectory(t)
	d.MustChange(t, "bob")
	g := startGateway(t, "{{site}} {\n\trespond \"not yet\"\n}\n", nil)
	other, named := "http://"+freeAddress(t), "http://"+freeAddress(t)
	i := legacytest.StartIssuer(t, g.url+"/.stepgate/oidc", g.url+"/.stepgate/sign-out")
	cert, key := rsaPair(t, "provider")
	ownCert, ownKey := rsaPair(t, "portal")
	for name, text := range map[string][]byte{"cert.pem": ownCert, "key.pem": ownKey} {
		if err := os.WriteFile(filepath.Join(g.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	p := legacytest.StartSAMLProvider(t, g.url+"/.stepgate/saml", cert, key, ownCert)
	g.load(strings.NewReplacer(
		"{{ldap}}", d.URL, "{{ca}}", d.CAFile, "{{base}}", d.BaseDN, "{{reader}}", d.BindDN, "{{password}}", d.BindPassword,
		"{{issuer}}", i.URL, "{{client}}", i.ClientID, "{{secret}}", i.ClientSecret, "{{metadata}}", p.Metadata,
		"{{other}}", other, "{{named}}", named, "{{hash}}", string(hash),
	).Replace(sourcesSite))

	const target = "/cases/1?q=a%2Fb"
	wide, phone := looks{1280, true, false}, looks{360, true, false}
	atCounty := func(b *tab) {
		b.enter(`button[value="oidc"]`).types("login", "ann", "password", "any").enter(`[type="submit"]`)
		if strings.Contains(b.url().Path, "/interaction/") {
			b.enter(`[type="submit"]`) // the provider's page of consent
		}
	}
	for _, way := range []struct {
		name  string
		looks looks
		site  string
		walk  func(b *tab)
	}{
		{"directory", wide, g.url, func(b *tab) {
			b.shoot("sign-in-sources").types("username", "joe", "password", "joe-Pass1").enter(submitButton)
		}},
		{"directory, password to be changed", phone, g.url, func(b *tab) {
			b.shoot("sign-in-sources").types("username", "bob", "password", "bob-Pass1").enter(submitButton)
			b.says("has to be changed").shoot("stale-password")
			b.types("password", "bob-Pass1", "new_password", "short").enter(submitButton).says("does not take this password").shoot("stale-password-short")
			b.types("password", "bob-Pass1", "new_password", "bob-Pass2").enter(submitButton)
		}},
		{"issuer", wide, g.url, atCounty},
		{"SAML provider", wide, g.url, func(b *tab) {
			b.enter(`button[value="saml"]`).types("login", "kim").enter("button").awaitURL("/.stepgate/enrol")
		}},
		{"earlier handler", wide, strings.Replace(named, "//", "//lee:secret@", 1), func(*tab) {}},
	} {
		t.Run(way.name, func(t *testing.T) {
			b := c.profile(t, way.looks).open(way.site + target)
			way.walk(b)
			b.enrolByKeys()
			if got := b.url(); got.RequestURI() != target || !strings.HasPrefix(got.String(), strings.Replace(way.site, "lee:secret@", "", 1)) {
				t.Fatalf("at %s:\n%s", got, b.text())
			}
		})
	}

	// One sign-in serves two hosts, and one sign-out ends both, and what the
	// issuer has.
	b := c.profile(t, wide).open(other + target)
	b.at("/sign-in")
	b.enter(`button[value="oidc"]`).types("login", "una", "password", "any").enter(`[type="submit"]`)
	if strings.Contains(b.url().Path, "/interaction/") {
		b.enter(`[type="submit"]`)
	}
	b.enrolByKeys()
	if got := b.url(); got.String() != other+target {
		t.Fatalf("at %s, want %s:\n%s", got, other+target, b.text())
	}
	b.open(g.url + "/").open(other + "/.stepgate/sign-out").enter(submitButton)
	if got := b.url(); !strings.HasPrefix(got.String(), i.URL) {
		t.Fatalf("signed out and at %s, not at the issuer:\n%s", got, b.text())
	}
	b.enter(`button[name="logout"]`).awaitURL("/.stepgate/sign-out").says("You are signed out")
	b.open(g.url + "/").at("/sign-in")
	b.open(other + target).at("/sign-in")
	b.enter(`button[value="oidc"]`)
	if got := b.url(); !strings.Contains(got.Path, "/interaction/") {
		t.Errorf("after signing out the issuer lets in without a question: at %s", got)
	}
}
