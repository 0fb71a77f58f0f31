package doctor

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/accesslog"
	"github.com/stepgate/stepgate/policy/author"
	"github.com/stepgate/stepgate/policy/target"
)

// siteAt is a site whose policy protects all but /open/*.
func siteAt(t *testing.T, origin string) *author.Site {
	t.Helper()
	config := &policy.Config{Rules: []policy.RuleConfig{
		{Verb: policy.VerbPublic, Patterns: []string{"/open/*"}},
		{Verb: policy.VerbRequire, Levels: []string{"mfa"}, Patterns: []string{"/cases/*"}},
	}}
	compiled, err := policy.Compile(config, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := target.NewReader(target.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &author.Site{Origin: origin, Config: config, Policy: compiled, Reader: reader, Prefix: "/.stepgate"}
}

// gateway answers as one does for strangers, but for what change does.
func gateway(t *testing.T, change func(w http.ResponseWriter, r *http.Request) bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case change != nil && change(w, r):
		case r.URL.Path == "/.stepgate/health":
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/.stepgate/sign-in" && r.Method == http.MethodGet:
			w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Add("Set-Cookie", "stepgate=x; HttpOnly")
		case r.URL.Path == "/.stepgate/sign-in":
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(r.RequestURI, "%00") || strings.Contains(r.URL.Path, ".."):
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasPrefix(r.URL.Path, "/open/"):
			w.WriteHeader(http.StatusOK)
		default:
			w.Header().Set("WWW-Authenticate", `Stepgate error="insufficient_user_authentication"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func examined(t *testing.T, server *httptest.Server) (findings map[string]string) {
	t.Helper()
	p := Prober{Site: siteAt(t, server.URL), Now: time.Now()}
	results, err := p.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	findings = map[string]string{}
	for _, r := range results {
		if r.Verdict == Finding {
			findings[r.Check] = r.Text
		}
	}
	return findings
}

// TestTheDoctorIsNobodyInALog: its spellings of a path are no page that people
// ask for, so that `rehearse` leaves them out of what it drafts.
func TestTheDoctorIsNobodyInALog(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	server := gateway(t, func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&log, "1.2.3.4 - - [02/Mar/2026:12:00:00 +0100] %q 200 1 \"-\" %q\n", r.Method+" "+r.RequestURI+" HTTP/1.1", r.UserAgent())
		return false
	})
	examined(t, server)
	site := siteAt(t, server.URL)
	r := author.Rehearsal{Sites: []*author.Site{site}, Limits: author.Limits{Idle: time.Hour, Absolute: time.Hour}}
	r.Facts.Complete(time.Now())
	report, err := r.Run(t.Context(), accesslog.Log{Name: "access.log", Reader: strings.NewReader(log.String())})
	if err != nil || report.Requests == 0 || report.Bots != report.Requests {
		t.Errorf("%d of %d requests are a program's, %v", report.Bots, report.Requests, err)
	}
}

// TestEachFaultIsFoundByItsCheck breaks a gateway in one way after the other.
func TestEachFaultIsFoundByItsCheck(t *testing.T) {
	if found := examined(t, gateway(t, nil)); len(found) > 0 {
		t.Errorf("a gateway without fault: %v", found)
	}
	pass := func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusOK); return true }
	for check, fault := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"health": func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path == "/.stepgate/health" && pass(w)
		},
		"clock": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			return false
		},
		"policy": func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.RequestURI, "%2578") && pass(w) // one spelling of /cases/x
		},
		"forgery": func(w http.ResponseWriter, r *http.Request) bool {
			return r.Header.Get("X-Rewrite-Url") != "" && pass(w)
		},
		"tunnel": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Upgrade") != "h2c" {
				return false
			}
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
			return conn.Close() == nil
		},
		"pages": func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path == "/.stepgate/sign-in" && r.Method == http.MethodGet && pass(w)
		},
		"cross-site": func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPost && pass(w)
		},
	} {
		if found := examined(t, gateway(t, fault)); len(found) != 1 || found[check] == "" {
			t.Errorf("%s: found %v", check, found)
		}
	}
}

func TestNobodyThereIsAFinding(t *testing.T) {
	server := gateway(t, nil)
	server.Close()
	if found := examined(t, server); found["reachable"] == "" || strings.Contains(found["reachable"], "/.stepgate") {
		t.Errorf("%v", found)
	}
	p := Prober{Site: siteAt(t, "")}
	if results, err := p.Examine(t.Context()); err == nil {
		t.Errorf("a site without an origin: %v", results)
	}
}

func TestACertificateThatBrowsersRefuseIsNamed(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	if found := examined(t, server); found["certificate"] == "" {
		t.Errorf("%v", found)
	}
}

// TestAWayRoundTheGatewayIsFound listens as applications do that were never
// told to listen to this machine alone.
func TestAWayRoundTheGatewayIsFound(t *testing.T) {
	for _, c := range []struct{ listen, upstream string }{{":0", "127.0.0.1"}, {"127.0.0.1:0", "127.0.0.1"}, {"127.0.0.1:0", "localhost"}} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		want := OK
		if c.listen == ":0" && hasOtherAddress(t) {
			want = Finding
		}
		if r := Around(t.Context(), net.JoinHostPort(c.upstream, port)); r.Verdict != want {
			t.Errorf("%s: %+v, want %s", c.listen, r, want)
		}
	}
	for upstream, want := range map[string]Verdict{"unix//run/app.sock": OK, "10.0.0.9:80": Note, "app.example.gov:8080": Note, "x": Note} {
		if r := Around(t.Context(), upstream); r.Verdict != want {
			t.Errorf("%s: %+v, want %s", upstream, r, want)
		}
	}
}

func hasOtherAddress(t *testing.T) bool {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && !ip.IP.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}
