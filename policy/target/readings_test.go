package target

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustRead(t *testing.T, raw string) Readings {
	t.Helper()
	rs, err := newReader(t).Read(raw)
	if err != nil {
		t.Fatalf("Read(%q): %v", raw, err)
	}
	return rs
}

func TestReadingsBelowThePrefix(t *testing.T) {
	for _, tt := range []struct {
		raw        string
		any, plain bool
	}{
		{"/.stepgate", true, true},
		{"/.stepgate/", true, true},
		{"/.stepgate/sign-in?x=%2e%2e", true, true},
		{"/.stepgate/register/AbC_-9", true, true},
		{"/.stepgatex", false, false},
		{"/x/.stepgate/", false, false},
		{"/?/.stepgate/", false, false},
		{"/.STEPGATE/sign-in", true, false},
		{"/%2Estepgate/sign-in", true, false},
		{"/.stepgate%2Fsign-in", true, false},
		{"/.stepgate/sign%2Din", true, false},
		{"/.stepgate//sign-in", true, false},
		{"/.stepgate;x/sign-in", true, false},
		{"/.stepgate./sign-in", true, false},
		{"/.stepgate%20", true, false},
		{"/.stepgate/sign-in;x", true, false},
		{"/.stepgate%3Fx", true, false},
		{"/x.php/.stepgate/status", true, false},
		{"/cgi-bin/x/.stepgate", true, false},
		{"/%2F.stepgate/status", true, false},
		{"/.%EF%BD%93tepgate/status", true, false},
		{"/.%EF%BD%93tepgate", true, false},
	} {
		rs := mustRead(t, tt.raw)
		if got := rs.AnyBelow("/.stepgate"); got != tt.any {
			t.Errorf("%s: AnyBelow = %v, readings %q", tt.raw, got, paths(&rs))
		}
		if got := rs.PlainlyBelow("/.stepgate"); got != tt.plain {
			t.Errorf("%s: PlainlyBelow = %v, readings %q", tt.raw, got, paths(&rs))
		}
	}
	rs := mustRead(t, "/Auth/x")
	if !rs.AnyBelow("/Auth") || !rs.PlainlyBelow("/Auth") {
		t.Error("a prefix in capitals is not found")
	}
}

func TestHowNamesTheSteps(t *testing.T) {
	for _, tt := range []struct{ raw, path, want string }{
		{"/admin", "/admin", "as-sent"},
		{"/%61dmin", "/admin", "decoded"},
		{"/%2561dmin", "/admin", "decoded-twice"},
		{"/%252561dmin", "/admin", "decoded-3-times"},
		{"/admin;x", "/admin", "cut-parameters"},
		{"/admin%3Bx", "/admin", "decoded, cut-parameters"},
		{"/a;x/b;y", "/a/b", "cut-parameters"},
		{"/a:x", "/a", "cut-stream"},
		{"/a+", "/a", "trimmed"},
		{"/a//b", "/a/b", "merged-slashes"},
		{"/a%3Fx", "/a", "decoded, cut-at-question-mark"},
		{"/a%23x", "/a", "decoded, cut-at-hash"},
		{"/a%2F%61", "/a%2fa", "decoded-keeping-slashes"},
		{"/x.php/admin", "/admin", "script-path-info"},
		{"/a%EF%BC%8Fb", "/a/b", "compatibility-folded"},
	} {
		rs := mustRead(t, tt.raw)
		i := slices.Index(paths(&rs), tt.path)
		if i < 0 {
			t.Errorf("%s has no reading %s: %q", tt.raw, tt.path, paths(&rs))
			continue
		}
		if got := rs.How(i); got != tt.want {
			t.Errorf("%s read as %s: How = %q, want %q", tt.raw, tt.path, got, tt.want)
		}
	}
}

func TestReadingsKeepTheBytesAsSent(t *testing.T) {
	for _, tt := range []struct{ raw, path, query string }{
		{"/", "/", ""},
		{"/?", "/", ""},
		{"/A%2f;b?c=D?e#f", "/A%2f;b", "c=D?e#f"},
	} {
		rs := mustRead(t, tt.raw)
		if rs.RawPath() != tt.path || rs.RawQuery() != tt.query {
			t.Errorf("%s: path %q, query %q", tt.raw, rs.RawPath(), rs.RawQuery())
		}
	}
	var none Readings
	if none.Len() != 0 || none.AnyBelow("/") || none.PlainlyBelow("/") {
		t.Error("the zero value has readings")
	}
}

func TestReadStopsAtItsBounds(t *testing.T) {
	nested := func(n int) string { return "/%" + strings.Repeat("25", n-1) + "41" }
	params := func(n int) string { return strings.Repeat("/a;b", n) }
	for _, tt := range []struct {
		raw, reason string
	}{
		{nested(MaxDecodings), ""},
		{nested(MaxDecodings + 1), ReasonTooManyDecodings},
		{params(6), ""}, // 64 readings
		{params(7), ReasonTooManyReadings},
		{"/" + strings.Repeat("a", 1<<20), ""},
		{"/%61" + strings.Repeat("a", maxOddBytes), ReasonTooLong},
		{"/" + strings.Repeat("a%2F", 100), ""}, // slashes are decoded together
		{strings.Repeat("/x.php", 65), ReasonTooManyReadings},
	} {
		_, err := newReader(t).Read(tt.raw)
		var m *Malformed
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("Read(%.40q): %v", tt.raw, err)
		case tt.reason != "" && (!errors.As(err, &m) || m.Reason != tt.reason):
			t.Errorf("Read(%.40q): %v, want it refused for %s", tt.raw, err, tt.reason)
		}
	}
}

// A character that folds to many must not make a path long.
func TestReadBoundsWhatFoldingMakesOfAPath(t *testing.T) {
	r := newReader(t)
	start := time.Now()
	for _, raw := range []string{
		"/" + strings.Repeat("%EF%B7%BA", 1800),
		"/" + strings.Repeat("%25EF%25B7%25BA", 1000),
		"/a;b/c;d/e;f/g;h/i;j/" + strings.Repeat("%25EF%25B7%25BA", 480),
	} {
		_, err := r.Read(raw)
		var m *Malformed
		if !errors.As(err, &m) || m.Reason != ReasonTooLong {
			t.Errorf("Read(%.40q…) = %v, want it refused for %s", raw, err, ReasonTooLong)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("four hostile paths took %v", took)
	}
	for _, honest := range []string{
		"/wiki/" + strings.Repeat("%E6%97%A5%E6%9C%AC", 300) + ";jsessionid=1",
		"/" + strings.Repeat("%D0%BF%2F", 3) + strings.Repeat("%D1%80", 500),
	} {
		if _, err := r.Read(honest); err != nil {
			t.Errorf("Read(%.40q…): %v", honest, err)
		}
	}
}

func TestScriptsAreTheSites(t *testing.T) {
	r, err := NewReader(Options{Scripts: []string{"App*", "*.DO", "/fcgi/a/*", "/fcgi/*"}})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		"/application/secret": "/secret",
		"/x.do/secret":        "/secret",
		"/FCGI/x/secret":      "/secret",
		"/fcgi/a/secret":      "/secret",
		"/cgi-bin/x/secret":   "/secret",
		"/x.php/secret":       "",
	} {
		rs, err := r.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(paths(&rs), "/secret"); got != (want != "") {
			t.Errorf("%s has readings %q", raw, paths(&rs))
		}
	}
	for _, bad := range []string{"", "*", "**", "/", "/*", "a/b.php", "/cgi*/*"} {
		if _, err := NewReader(Options{Scripts: []string{bad}}); err == nil {
			t.Errorf("script pattern %q is taken", bad)
		}
	}
	if _, err := NewReader(Options{Scripts: []string{}}); err != nil {
		t.Errorf("no scripts: %v", err)
	}
}

func TestScriptsGivesWhatRuns(t *testing.T) {
	for raw, want := range map[string][]string{
		"/admin.php":             nil,
		"/admin.php?x=/y":        nil,
		"/a/b":                   nil,
		"/a.php;x":               nil,
		"/admin.php/x":           {"/admin.php"},
		"/admin.php/":            {"/admin.php"},
		"/Admin.PHP/x":           {"/admin.php"},
		"/admin%2Ephp/x":         {"/admin.php"},
		"/admin.php%2Fx":         {"/admin.php"},
		"/admin.php;v=1/x":       {"/admin.php"},
		"/admin.php%20/x":        {"/admin.php"},
		"/a/b.php/c.asp/x":       {"/a/b.php", "/a/b.php/c.asp", "/c.asp"},
		"/cgi-bin/tool/secret":   {"/cgi-bin/tool"},
		"/cgi-bin/tool/secret/x": {"/cgi-bin/tool", "/cgi-bin/tool/secret"},
	} {
		rs := mustRead(t, raw)
		var got []string
		for i := range rs.Len() {
			for script := range rs.Scripts(i) {
				if !slices.Contains(got, script) {
					got = append(got, script)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s runs %q, want %q", raw, got, want)
		}
	}
}

// Every request that a published bypass was shown with is refused, or read as
// what it reached.
func TestPublishedBypassesAreSeenThrough(t *testing.T) {
	for _, tt := range []struct{ raw, reached, from string }{
		{"/public/..%2fadmin", "", "Caddy url_pattern, UniFi CVE-2026-34908"},
		{"/public/../admin", "", "Oathkeeper GHSA-p224-6x5r-fjpm"},
		{"/ADMIN", "/admin", "Caddy CVE-2026-27587"},
		{"/%61dmin", "/admin", "Caddy CVE-2026-27587"},
		{"/admin;x=1", "/admin", "Keycloak CVE-2026-15573"},
		{"/admin%3Bx", "/admin", "Keycloak CVE-2026-74909"},
		{"/%2e%2e/admin", "", "Keycloak CVE-2026-15573"},
		{"/x/..;/admin", "", "Keycloak CVE-2026-3872"},
		{"/admin/.", "", "section 3.7"},
		{"/admin%20", "/admin", "section 3.7"},
		{"//admin", "", "OPA-Envoy CVE-2026-26205"},
		{"/public//admin", "/public/admin", "Envoy CVE-2019-9901"},
		{"/%2fadmin", "/admin", "Istio CVE-2021-29492"},
		{"/public%5C..%5Cadmin", "", "Istio CVE-2021-29492"},
		{"/admin%3Fa", "/admin", "Heimdall CVE-2026-32811"},
		{"/admin%23a", "/admin", "oauth2-proxy CVE-2026-41059"},
		{"/admin#", "", "oauth2-proxy CVE-2026-41059"},
		{"/x?/public", "/x", "oauth2-proxy CVE-2025-54576"},
		{"/%zz/admin", "", "Authelia CVE-2021-32637"},
		{"/index.php/admin", "/admin", "Caddy CVE-2026-27590"},
		{"/admin.asp::$DATA", "/admin.asp", "IIS streams"},
		{"/admin.aspx.", "/admin.aspx", "Windows file names"},
	} {
		rs, err := newReader(t).Read(tt.raw)
		if tt.reached == "" {
			if err == nil {
				t.Errorf("%s (%s) has readings %q, want it refused", tt.raw, tt.from, paths(&rs))
			}
			continue
		}
		if err != nil || !slices.Contains(paths(&rs), tt.reached) {
			t.Errorf("%s (%s): %q, %v; want %s among them", tt.raw, tt.from, paths(&rs), err, tt.reached)
		}
	}
}
