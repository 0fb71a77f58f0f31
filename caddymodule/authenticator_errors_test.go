package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheAuthenticatorsHostSaysWhatIsWrong is a store that is away, and
// addresses that somebody has mistyped: words, and a reference of the log.
func TestTheAuthenticatorsHostSaysWhatIsWrong(t *testing.T) {
	app := "http://" + freeAddress(t)
	away := strings.Replace(freeAddress(t), "localhost", "127.0.0.1", 1)
	site := strings.ReplaceAll(phoneSite, "{{app}}", app)
	site = strings.Replace(site, "output discard", "output file {{dir}}/caddy.log\n\t\tlevel DEBUG", 1)
	site = strings.Replace(site, "store sqlite {{dir}}/stepgate.db", "store postgres \"postgres://gate:gate@"+away+"/gate\"\n\t\tkey_file {{dir}}/stepgate.key", 1)
	g := startGateway(t, site, nil)
	ask := func(method, path string, header http.Header) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequest(method, app+path, strings.NewReader(`{"ticket":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Header, string(body)
	}
	known := func(reference string) {
		t.Helper()
		log, err := os.ReadFile(filepath.Join(g.dir, "caddy.log"))
		if err != nil {
			t.Fatal(err)
		}
		if len(reference) < 6 || !strings.Contains(string(log), reference) {
			t.Errorf("the log does not know the reference %q", reference)
		}
	}

	// The app itself, which has the words for it.
	status, _, body := ask("POST", "/api/pair", http.Header{"Content-Type": {"application/json"}})
	var problem struct{ Title, Detail, Reference string }
	if json.Unmarshal([]byte(body), &problem) != nil || status != 503 || problem.Title == "" || problem.Detail == "" {
		t.Errorf("%d %s", status, body)
	}
	known(problem.Reference)
	if strings.Contains(body, away) {
		t.Errorf("the answer tells an address: %s", body)
	}

	// Somebody with a browser.
	marked := regexp.MustCompile(`data-stepgate="reference">([^<]+)<`)
	for _, row := range []struct {
		method, path, language string
		status                 int
		says                   string
	}{
		{"GET", "/api/pair", "en", 503, "the service is unavailable"},
		{"GET", "/api/pair", "cy", 503, "gwasanaeth ar gael"},
		{"GET", "/nothing", "en", 404, "Page not found"},
		{"GET", "/nothing", "cy", 404, "Heb ddod o hyd"},
		{"POST", "/", "en", 405, "cannot be opened that way"},
	} {
		status, header, body := ask(row.method, row.path, http.Header{
			"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept-Language": {row.language},
		})
		if status != row.status || !strings.Contains(body, row.says) || !strings.Contains(body, `href="/"`) {
			t.Errorf("%s %s (%s): %d %s", row.method, row.path, row.language, status, body)
		}
		if strings.Contains(header.Get("Content-Security-Policy"), "unsafe") || header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: headers %v", row.path, header)
		}
		reference := marked.FindStringSubmatch(body)
		if reference == nil {
			t.Errorf("%s %s: no reference: %s", row.method, row.path, body)
			continue
		}
		known(reference[1])
		for _, asset := range regexp.MustCompile(`(?:src|href)="(/\.stepgate/assets/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			if status, _, _ := ask("GET", asset[1], nil); status != 200 {
				t.Errorf("%s: %d", asset[1], status)
			}
		}
	}
}
