package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const framePage = "<!doctype html><html><head><title>x</title></head><body>y</body></html>"

func TestPagesHaveTheScriptAndNothingElseHas(t *testing.T) {
	g := startGateway(t, scriptedSite, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/text":
			w.Header().Set("Content-Type", "text/plain")
		case "/file":
			w.Header().Set("Content-Disposition", "attachment; filename=x.html")
		case "/policy":
			w.Header().Set("Content-Security-Policy", "default-src 'self'; script-src 'none'")
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(framePage)))
		io.WriteString(w, framePage)
	}))
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	window := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Accept-Encoding", "br, gzip, zstd")
	}
	page := b.get("/page", window)
	before, rest, _ := strings.Cut(page.body, `<script src="/.stepgate/assets/step-up.`)
	name, behind, _ := strings.Cut(rest, `"`)
	_, behind, _ = strings.Cut(behind, "</script>")
	if before+behind != framePage || g.last().Header.Get("Accept-Encoding") != "gzip" {
		t.Errorf("the page is %s", page.body)
	}
	script := "/.stepgate/assets/step-up." + name
	if got := b.get(script, fetch); got.status != http.StatusOK || !strings.Contains(got.header.Get("Content-Type"), "javascript") {
		t.Errorf("the script: %d %v", got.status, got.header)
	}
	if got := b.get("/policy", window).header.Get("Content-Security-Policy"); got != "default-src 'self'; script-src "+g.url+script {
		t.Errorf("the policy is %s", got)
	}
	for _, path := range []string{"/text", "/file"} {
		if got := b.get(path, window); got.body != framePage {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if got := b.get("/page", fetch); got.body != framePage || got.header.Get("Content-Length") == "" {
		t.Errorf("fetched: %v %s", got.header, got.body)
	}
	if got := g.browser().get("/.stepgate/live", fetch); got.status != http.StatusOK || !strings.Contains(got.body, `"signed_in":false`) {
		t.Errorf("a stranger is told %d %s", got.status, got.body)
	}
}

// TestThePageOfAWatchedLoginHasTheScript has the app answer a good password
// with its home page at once.
func TestThePageOfAWatchedLoginHasTheScript(t *testing.T) {
	site := officeVariant("success status 302 303", "success status 200", "success location !/login*", "", "enrolment self", "inject_step_up")
	app := &office{shows: true}
	g := startGateway(t, site, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		app.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		if r.Method == http.MethodPost && answer.Code == http.StatusOK {
			io.WriteString(w, "<html><head></head><body>")
		}
		w.Write(answer.Body.Bytes())
	}))
	window := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	b := g.browser()
	b.get("/login.php", window)
	p := b.atOffice("joe", officePasswords["joe"], window).want(200, "/login.php").wantBody("here is everything")
	if !strings.Contains(p.body, `<head><script src="/.stepgate/assets/step-up.`) || !strings.Contains(p.body, "data-mark=") || !b.signedIn() {
		t.Errorf("the page is %s", p.body)
	}
	if p := g.browser().atOffice("joe", officePasswords["joe"], fetch); strings.Contains(p.body, "step-up") || !strings.Contains(p.body, "here is everything") {
		t.Errorf("fetched it is %s", p.body)
	}
}

// TestTheServersOwnPackingGoesAroundTheScript has Caddy pack pages: in its own
// order behind the gate, and in a route around it.
func TestTheServersOwnPackingGoesAroundTheScript(t *testing.T) {
	const policy = "stepgate {\n\t\tinject_step_up\n\t\tpolicy {\n\t\t\tpublic /*\n\t\t}\n\t}"
	for _, row := range []struct{ site, coding string }{
		{"{{site}} {\n\tencode zstd gzip\n\t" + policy + "\n\treverse_proxy {{upstream}}\n}\n", "gzip"},
		{"{{site}} {\n\troute {\n\tencode zstd gzip\n\t" + policy + "\n\treverse_proxy {{upstream}}\n\t}\n}\n", "zstd"},
	} {
		long := strings.Replace(framePage, "y</body>", strings.Repeat("<p>One more line.\n", 1000)+"</body>", 1)
		g := startGateway(t, row.site, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		}))
		p := g.browser().get("/page", func(r *http.Request) { r.Header.Set("Accept-Encoding", "zstd, gzip, br") })
		if got := p.header.Get("Content-Encoding"); got != row.coding {
			t.Fatalf("the page is packed as %q, want %q", got, row.coding)
		}
		var read io.Reader
		var err error
		if row.coding == "gzip" {
			read, err = gzip.NewReader(strings.NewReader(p.body))
		} else {
			read, err = zstd.NewReader(strings.NewReader(p.body))
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(read)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, _ := strings.Cut(string(text), `<script src="/.stepgate/assets/step-up.`)
		_, behind, _ := strings.Cut(rest, "</script>")
		if before+behind != long || rest == "" {
			t.Errorf("%s: the page is %.300q", row.coding, text)
		}
		if err := stopGateway(); err != nil {
			t.Fatal(err)
		}
	}
}
