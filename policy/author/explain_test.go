package author

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy"
)

var explained = []struct{ name, line string }{
	{"public", "GET /assets/site.css"},
	{"default", "/nowhere"},
	{"denied", "GET /%64ebug/vars"},
	{"refused", "GET /a/../b"},
	{"own", "GET /.stepgate/sign-in"},
	{"half-own", "GET /%2estepgate/sign-in"},
	{"query", "POST /app.do?action=deleteAll --device private --risk high"},
	{"claimed", `POST /cases/7 --header "X-HTTP-Method-Override: DELETE" --device private`},
	{"form", "POST /cases/7 --form _method=DELETE --device private"},
	{"inside", "GET /admin/users --client-ip 10.1.2.3 --group admins --organisation north"},
	{"outside", "GET /admin/users --client-ip 81.2.69.142 --group staff"},
}

func TestExplainGolden(t *testing.T) {
	s := siteOf(t, contractSample)
	for _, tt := range explained {
		t.Run(tt.name, func(t *testing.T) {
			a := s.Explain(factsOf(t, tt.line))
			var text strings.Builder
			if err := a.Render(&text); err != nil {
				t.Fatal(err)
			}
			fields, err := json.MarshalIndent(a, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "explain-"+tt.name+".golden", "# "+tt.line+"\n"+text.String()+string(fields)+"\n")
		})
	}
}

// TestRenderExplanationShowsNoControlBytes: readings hold what strangers sent.
func TestRenderExplanationShowsNoControlBytes(t *testing.T) {
	var b strings.Builder
	RenderExplanation(&b, policy.Explanation{Readings: []policy.ReadingExplanation{{Path: "/\x1b[2J\u202e", How: "as-sent"}}})
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q", b.String())
	}
}

func TestParseURLKeepsTheBytes(t *testing.T) {
	for text, want := range map[string]string{
		"/a%2Fb?x=/#y":                  "|/a%2Fb?x=/#y",
		"https://Portal.test/a%2fB?q#f": "portal.test|/a%2fB?q",
		"http://portal.test:8080":       "portal.test:8080|/",
		"https://portal.test?x":         "portal.test|/?x",
		"//evil.test/":                  "|//evil.test/",
	} {
		host, raw, err := ParseURL(text)
		if got := host + "|" + raw; err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"cases", "ftp://x/", "https:///x", ""} {
		if _, _, err := ParseURL(text); err == nil {
			t.Errorf("%q is taken for a URL", text)
		}
	}
}

func TestChooseGoesByTheHost(t *testing.T) {
	sites := []*Site{{Origin: "https://a.test"}, {Origin: "http://b.test:8080"}}
	for host, want := range map[string]string{"": "https://a.test", "a.test": "https://a.test", "a.test:443": "https://a.test", "b.test:8080": "http://b.test:8080"} {
		if s, err := Choose(sites, host); err != nil || s.Origin != want {
			t.Errorf("%q: %v %v", host, s, err)
		}
	}
	if _, err := Choose(sites, "c.test"); err == nil || !strings.Contains(err.Error(), "https://a.test") {
		t.Errorf("%v", err)
	}
	if _, err := Choose(nil, ""); err != ErrNoSite {
		t.Errorf("%v", err)
	}
}

func TestSetSaysWhatItExpected(t *testing.T) {
	for flag, value := range map[string]string{"device": "privat", "risk": "huge", "client-ip": "here", "header": "x", "form": "=y", "at": "noon", "divice": "x"} {
		var f Facts
		if err := f.Set(flag, value); err == nil {
			t.Errorf("--%s %s is taken", flag, value)
		}
	}
}

// TestInFullTellsWhoCouldPass by their proofs, and who lost.
func TestInFullTellsWhoCouldPass(t *testing.T) {
	s := siteOf(t, contractSample)
	for line, want := range map[string]string{
		"POST /cases/7 --device private": "could pass  whoever signed in with webauthn\n",
		"GET /cases/7":                   "could pass  whoever signed in with webauthn, or totp, or device_pin",
		"GET /":                          "could pass  whoever signed in with any source\n",
	} {
		var b strings.Builder
		if err := s.InFull(s.Explain(factsOf(t, line)), noon).Render(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: no %q in\n%s", line, want, b.String())
		}
	}
	for _, line := range []string{"GET /assets/x", "GET /debug", "GET /a/../b"} {
		if a := s.InFull(s.Explain(factsOf(t, line)), noon); len(a.Ways) > 0 {
			t.Errorf("%s: %v", line, a.Ways)
		}
	}
}

// TestRenderSaysThatTheDefaultDecidesOneReadingOnly where rules decide about
// another.
func TestRenderSaysThatTheDefaultDecidesOneReadingOnly(t *testing.T) {
	s := siteOf(t, "require mfa /case.do\nrequire mfa /case.do?action=edit")
	for line, want := range map[string]string{
		"GET /case.do;jsessionid=1?action=edit": "decided by  the default, since no rule matches one of its readings\n",
		"GET /other":                            "decided by  the default, since no rule matches\n",
	} {
		var b strings.Builder
		if err := s.Explain(factsOf(t, line)).Render(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: no %q in\n%s", line, want, b.String())
		}
	}
}
