package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReportsKeepTheDirectiveAndTheOriginOnly(t *testing.T) {
	var lines []string
	now := noon
	k := testKit(t, Options{
		Now: func() time.Time { return now },
		Log: func(_ context.Context, _ slog.Level, _, _ string, err error) { lines = append(lines, err.Error()) },
	})
	report := func(method, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		k.Reports(testSite()).ServeHTTP(w, httptest.NewRequest(method, "/.stepgate/csp-report", strings.NewReader(body)))
		if w.Code != http.StatusNoContent {
			t.Errorf("%s %.30s: %d", method, body, w.Code)
		}
	}
	for _, body := range []string{
		`{"csp-report":{"document-uri":"https://x/.stepgate/register/TOKEN","effective-directive":"script-src-elem","blocked-uri":"inline"}}`,
		`{"csp-report":{"effective-directive":"img-src","blocked-uri":"https://evil.example/a?token=1"}}`,
		`{"csp-report":{"effective-directive":"img-src","blocked-uri":"\n\n"}}`,
		`{"csp-report":{"effective-directive":"no\nline"}}`,
		`{"csp-report":[]}`, `nonsense`, ``, strings.Repeat(" ", maxReportBytes) + `{}`,
	} {
		now = now.Add(reportEvery)
		report("POST", body)
	}
	now = now.Add(reportEvery)
	report("GET", "")
	for range 3 { // one a second
		report("POST", `{"csp-report":{"effective-directive":"font-src","blocked-uri":"data"}}`)
	}
	want := []string{
		"script-src-elem stopped inline", `img-src stopped "https://evil.example"`, "img-src stopped something unnamed", "font-src stopped data",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyNamesTheReportsOnlyWhereTheyAreTaken(t *testing.T) {
	site := testSite()
	for _, taken := range []bool{false, true} {
		site.Reports = taken
		w := httptest.NewRecorder()
		if err := samplePages(t).Render(w, navigation("GET", "/", ""), site, 200, "everything", sampleView{}); err != nil {
			t.Fatal(err)
		}
		csp := w.Header().Get("Content-Security-Policy")
		if got := strings.HasSuffix(csp, "; report-uri /.stepgate/csp-report"); got != taken {
			t.Errorf("taken %v: %s", taken, csp)
		}
	}
}
