package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// basicSite lets Caddy's own basic_auth sign people in; whoever asks below
// /public is asked for nothing.
func basicSite(t *testing.T) string {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(`{{site}} {
	@asked not path /public/*
	basic_auth @asked {
		joe {{hash}}
		ann {{hash}}
	}
	stepgate {
		sign_in trusted {http.auth.user.id}
		enrolment self
		policy {
			public            /public/*
			require signed_in /
			require mfa       /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
`, "{{hash}}", string(hash))
}

func basicAs(name string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, "secret") }
}

func TestWhomBasicAuthNamesIsSignedInAndStaysSoWhileItNamesThem(t *testing.T) {
	g := startGateway(t, basicSite(t), nil)
	b := g.browser()
	b.get("/").want(http.StatusUnauthorized, "")
	b.get("/", basicAs("joe")).want(http.StatusOK, "/")
	if seen := g.last(); seen == nil || seen.Header.Get("Remote-User") != "joe" {
		t.Fatalf("the upstream is told %+v", seen)
	}
	// A level that asks for more leads to its pages, which also want a name.
	b.get("/cases/1", basicAs("joe")).atEnrolment()

	// Another name is another person, from this request on.
	b.get("/", basicAs("ann")).want(http.StatusOK, "/")
	if seen := g.last(); seen == nil || seen.Header.Get("Remote-User") != "ann" {
		t.Fatalf("the upstream is told %+v", seen)
	}
	// Where nobody is named nobody is signed in, and the session is over.
	b.get("/public/x").want(http.StatusOK, "/public/x")
	if seen := g.last(); seen == nil || seen.Header.Get("Remote-User") != "" {
		t.Fatalf("on a public path the upstream is told %+v", seen)
	}
	if p := b.get("/.stepgate/status", basicAs("joe"), fetch); strings.Contains(p.body, `"signed_in":true`) {
		t.Errorf("after nobody was named: %s", p.body)
	}
}

func TestAProgramThatIsNamedAtEachRequestBeginsOneSession(t *testing.T) {
	g := startGateway(t, basicSite(t), nil)
	for range 5 {
		r, _ := http.NewRequest(http.MethodGet, g.url+"/", nil)
		basicAs("joe")(r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
	}
	b := g.browser()
	p := b.get("/.stepgate/account", basicAs("joe"))
	if n := strings.Count(p.body, "Go-http-client"); n > 1 {
		t.Errorf("%d sessions of a program that keeps no cookies", n)
	}
}

// headerSite believes X-Remote-User of proxies, and in the second block of an
// earlier handler.
const headerSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	servers {
		trusted_proxies static {{proxies}}
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
	}
}
{{site}} {
	stepgate {
		sign_in trusted {header.X-Remote-User} {
			attribute groups {header.X-Remote-Groups}
		}
		policy {
			require signed_in /*
			require signed_in /admin/* {
				group admins
			}
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestAHeaderNamesSomebodyOnlyFromAProxyThatIsTrusted(t *testing.T) {
	named := func(r *http.Request) {
		r.Header.Set("X-Remote-User", "joe")
		r.Header.Set("X-Remote-Groups", "clerks, admins")
	}
	g := startGateway(t, strings.ReplaceAll(headerSite, "{{proxies}}", "192.0.2.1"), nil)
	p := g.browser().get("/", named)
	if seen := g.last(); p.status != http.StatusOK || p.url.Path != "/.stepgate/sign-in" || seen != nil {
		t.Fatalf("from a stranger: %d at %s, the upstream got %+v", p.status, p.url, seen)
	}
	if !strings.Contains(p.body, "your organisation") {
		t.Errorf("the page does not say what to do: %s", p.body)
	}
	g.load(strings.ReplaceAll(headerSite, "{{proxies}}", "127.0.0.1/8 ::1"))
	b := g.browser()
	b.get("/admin/", named).want(http.StatusOK, "/admin/")
	seen := g.last()
	if seen == nil || seen.Header.Get("Remote-User") != "joe" || seen.Header.Get("Remote-Groups") != "clerks,admins" {
		t.Fatalf("from a proxy the upstream is told %+v", seen)
	}
	if seen.Header.Get("X-Remote-User") != "" {
		t.Error("the header itself arrives, which anybody could have sent")
	}
	if p := g.browser().get("/", named, func(r *http.Request) { r.Header.Add("X-Remote-User", "ann") }); p.status != http.StatusForbidden {
		t.Errorf("two names: %d", p.status)
	}
	if p := b.get("/"); p.url.Path != "/.stepgate/sign-in" {
		t.Errorf("without the header: %d at %s", p.status, p.url)
	}
}

func TestForwardAuthNamesWhoIsSignedIn(t *testing.T) {
	authority := http.NewServeMux()
	authority.HandleFunc("/verify", func(w http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get("X-Test-Login"); name != "" {
			w.Header().Set("Remote-User", name)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: authority}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	g := startGateway(t, strings.ReplaceAll(`{{site}} {
	forward_auth {{authority}} {
		uri /verify
		copy_headers Remote-User
	}
	stepgate {
		sign_in trusted {header.Remote-User} from earlier_handler
		policy {
			require signed_in /*
		}
	}
	reverse_proxy {{upstream}}
}
`, "{{authority}}", l.Addr().String()), nil)
	spoof := func(r *http.Request) { r.Header.Set("Remote-User", "owner") }
	g.browser().get("/", spoof).want(http.StatusUnauthorized, "")
	g.browser().get("/", spoof, func(r *http.Request) { r.Header.Set("X-Test-Login", "joe") }).want(http.StatusOK, "/")
	if seen := g.last(); seen == nil || strings.Join(seen.Header["Remote-User"], " ") != "joe" {
		t.Fatalf("the upstream is told %+v", seen)
	}
}

// certificate makes a certificate with its key in PEM, signed by an authority,
// or by itself where there is none.
func certificate(t *testing.T, name string, by *tls.Certificate) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: by == nil, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, any(key)
	if by != nil {
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			t.Fatal(err)
		}
		signer = by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestAClientCertificateNamesWhoIsSignedIn(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	caPEM, caKey := certificate(t, "The county", nil)
	ca, err := tls.X509KeyPair(caPEM, caKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", caPEM)
	cert, key := certificate(t, "localhost", &ca)
	write("cert.pem", cert)
	write("key.pem", key)
	address := "https://" + freeAddress(t)
	g := startGateway(t, strings.NewReplacer("{{secure}}", address, "{{certs}}", dir).Replace(`{{secure}} {
	tls {{certs}}/cert.pem {{certs}}/key.pem {
		client_auth {
			mode verify_if_given
			trust_pool file {{certs}}/ca.pem
		}
	}
	stepgate {
		sign_in trusted {tls_client_subject}
		policy {
			require signed_in /*
		}
	}
	reverse_proxy {{upstream}}
}
{{site}} {
	respond "ready"
}
`), nil)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(caPEM)
	ask := func(own ...tls.Certificate) (int, string) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own}}}
		defer client.CloseIdleConnections()
		response, err := client.Get(address + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	if status, body := ask(); status != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d %s", status, body)
	}
	mine, mineKey := certificate(t, "Joe Bloggs", &ca)
	own, err := tls.X509KeyPair(mine, mineKey)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := ask(own); status != http.StatusOK {
		t.Errorf("with a certificate: %d %s", status, body)
	}
	if seen := g.last(); seen == nil || seen.Header.Get("Remote-User") != "CN=Joe Bloggs" {
		t.Errorf("the upstream is told %+v", seen)
	}
}
