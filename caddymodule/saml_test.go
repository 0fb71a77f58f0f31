package caddymodule

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// rsaPair is a certificate of its own and its key, in PEM.
func rsaPair(t *testing.T, name string) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// samlSite signs people in at a SAML provider and nowhere else.
func samlSite(p *legacytest.SAMLProvider) string {
	return strings.NewReplacer("{{metadata}}", p.Metadata).Replace(`{{site}} {
	stepgate {
		sign_in saml {{metadata}} {
			label       "the county"
			certificate cert.pem
			key         key.pem
			attribute   username http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier
			attribute   groups http://schemas.passportjs.com/groups
		}
		enrolment self
		pages {
			language en cy
		}
		policy {
			require signed_in /
			require mfa       /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
`)
}

// samlGateway is a gateway whose people sign in at a SAML provider.
func samlGateway(t *testing.T) (*rig, *legacytest.SAMLProvider) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a SAML provider")
	}
	g := startGateway(t, `{{site}} {
	respond "not yet"
}
`, nil)
	cert, key := rsaPair(t, "provider")
	ownCert, ownKey := rsaPair(t, "portal")
	for name, text := range map[string][]byte{"cert.pem": ownCert, "key.pem": ownKey} {
		if err := os.WriteFile(filepath.Join(g.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := legacytest.StartSAMLProvider(t, g.url+"/.stepgate/saml", cert, key, ownCert)
	g.load(samlSite(p))
	// The server before may answer for a moment.
	waitFor(t, func() bool { return strings.HasPrefix(g.browser().get("/").url.String(), p.URL) })
	return g, p
}

// atProvider types a name at the provider's page, and returns the form that it
// then has the browser post.
func (b *browser) atProvider(p *page, name string) *page {
	b.t.Helper()
	_, form := p.form("login")
	if form == nil {
		b.t.Fatalf("not at the provider's page, but at %s with %d:\n%s", p.url, p.status, p.body)
	}
	form.Set("login", name)
	return b.do(http.MethodPost, p.url.ResolveReference(mustParse("/sso")).String(), form)
}

// posts sends the provider's form on, as a browser does for another site.
func (b *browser) posts(p *page) *page {
	b.t.Helper()
	action, form := p.form("SAMLResponse")
	return b.do(http.MethodPost, action, form, func(r *http.Request) {
		r.Header.Set("Origin", "null")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Del("Cookie")
	})
}

func TestASAMLProviderSignsPeopleInAndLeadsBackToTheVeryURL(t *testing.T) {
	g, idp := samlGateway(t)
	b := g.browser()
	at := b.get("/cases/1?q=a%2Fb")
	if !strings.HasPrefix(at.url.String(), idp.URL+"/sso?") {
		t.Fatalf("at %s, not at the provider", at.url)
	}
	form := b.atProvider(at, "joe")
	p := b.enrol(b.posts(form).atEnrolment())
	seen := g.last()
	if p.status != http.StatusOK || seen == nil || seen.Line != "GET /cases/1?q=a%2Fb" {
		t.Fatalf("%d at %s: %+v", p.status, p.url, seen)
	}
	if seen.Header.Get("Remote-User") != "joe" || seen.Header.Get("Remote-Email") != "joe@county.test" || seen.Header.Get("Remote-Groups") != "clerks" {
		t.Errorf("the upstream is told %v", seen.Header)
	}

	// The same answer again, and in another browser, is nobody's.
	for name, who := range map[string]*browser{"again": b, "elsewhere": g.browser()} {
		if p := who.posts(form); p.status != http.StatusForbidden {
			t.Errorf("%s: %d at %s", name, p.status, p.url)
		}
	}
	metadata := g.browser().get("/.stepgate/saml", fetch)
	if metadata.status != http.StatusOK || !strings.Contains(metadata.body, g.url+"/.stepgate/saml") {
		t.Errorf("metadata: %d %s", metadata.status, metadata.body)
	}
	if p := g.browser().do(http.MethodPost, "/.stepgate/saml", url.Values{"SAMLResponse": {strings.Repeat("A", 3<<20)}}); p.status == http.StatusOK {
		t.Errorf("3 MB of XML: %d", p.status)
	}

	// The provider takes another key, which is found when it has signed.
	newCert, newKey := rsaPair(t, "provider")
	idp.RollKeys(t, newCert, newKey)
	becomes(t, "the provider's new key is believed", func() bool {
		other := g.browser()
		return other.posts(other.get("/")).status == http.StatusOK // joe is signed in there
	})
}

func TestALostAnswerOfAnotherBrowserSignsNobodyIn(t *testing.T) {
	g, _ := samlGateway(t)
	victim, attacker := g.browser(), g.browser()
	form := attacker.atProvider(attacker.get("/"), "mallory")
	if p := victim.posts(form); p.status != http.StatusForbidden {
		t.Errorf("an answer that another browser asked for: %d at %s", p.status, p.url)
	}
	if seen := g.last(); seen != nil {
		t.Errorf("the upstream got %s", seen.Line)
	}
}

func TestSAMLSignOutGoesBothWays(t *testing.T) {
	g, idp := samlGateway(t)
	b := g.browser()
	b.posts(b.atProvider(b.get("/"), "joe")).want(http.StatusOK, "/")
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil).at("/sign-out")
	at := b.get("/")
	if _, form := at.form("login"); form == nil {
		t.Fatalf("after signing out the provider lets in without a question: at %s", at.url)
	}
	b.posts(b.atProvider(at, "joe")).want(http.StatusOK, "/")
	b.get(idp.URL + "/slo")
	if p := b.get("/.stepgate/status", fetch); strings.Contains(p.body, `"signed_in":true`) {
		t.Errorf("after signing out at the provider: %s", p.body)
	}
}
