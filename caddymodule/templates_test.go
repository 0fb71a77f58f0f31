package caddymodule

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnOperatorsPagesReplaceOurs: a page and a text of a folder show, and what
// would replace nothing is refused in words.
func TestAnOperatorsPagesReplaceOurs(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("challenge/sign-in.html", `{{define "title"}}Welcome{{end}}{{define "main"}}<p>The county says welcome</p>{{end}}`)
	put("web/texts_en.json", `{"layout.help": "Stuck?"}`)
	site := strings.Replace(localSite, "stepgate {", "stepgate {\npages {\nhelp \"Ask Ann\"\ntemplates "+dir+"\n}", 1)
	g := startGateway(t, site, http.NotFoundHandler())
	if page := g.browser().get("/.stepgate/sign-in").want(http.StatusOK, ""); !strings.Contains(page.body, "The county says welcome") || !strings.Contains(page.body, "Stuck?") {
		t.Errorf("the page is ours:\n%s", page.body)
	}
	for name, want := range map[string]string{"challenge/sing-in.html": "sing-in.html replaces nothing", "pages/sign-in.html": `no set of pages is called "pages"`} {
		put(name, "<p>")
		if err := g.tryLoad(site); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with %s: %v", name, err)
		}
		os.RemoveAll(filepath.Join(dir, name))
		if name == "pages/sign-in.html" {
			os.Remove(filepath.Join(dir, "pages"))
		}
	}
	if err := g.tryLoad(strings.Replace(site, dir, dir+"-gone", 1)); err == nil || !strings.Contains(err.Error(), "pages templates") {
		t.Errorf("without the folder: %v", err)
	}
}
