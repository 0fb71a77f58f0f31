package authenticator

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/softtoken"
)

//go:embed app
var embedded embed.FS

// Look is how the app calls itself.
type Look struct {
	// Name is the app's, on the phone's home screen too.
	Name string
	// Languages are those of its texts, the default first; none is English.
	Languages []string
	// Sites are the gateway's own, so that the app can say which portal a code
	// is of. It asks nobody for that.
	Sites []Site
}

// Site is one of the gateway's own.
type Site struct {
	// Issuer is what the links of its codes say, Origin where it is.
	Issuer string `json:"issuer"`
	Origin string `json:"origin"`
}

// Languages are those that the app has texts in.
func Languages() []string { return []string{"en", "cy"} }

// Files are the app as a phone gets it.
type Files struct {
	all  map[string]file
	fail func(w http.ResponseWriter, r *http.Request, status int)
}

type file struct {
	kind, tag string
	content   []byte
}

// names that are made, not kept as they are served.
const (
	pageName     = "/"
	manifestName = "/manifest.webmanifest"
	workerName   = "/worker.js"
)

// kinds are those that a registry of the system may not have.
var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".png": "image/png",
	".svg": "image/svg+xml", ".webmanifest": "application/manifest+json",
}

// NewFiles makes the app's files. fail answers a request for none of them, in
// words.
func NewFiles(look Look, fail func(w http.ResponseWriter, r *http.Request, status int)) (*Files, error) {
	f := &Files{all: map[string]file{}, fail: fail}
	err := fs.WalkDir(embedded, "app", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Base(name) == "LICENSE" {
			return err
		}
		content, err := embedded.ReadFile(name)
		f.add(strings.TrimPrefix(name, "app"), content)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.add("/"+softtoken.ScriptName, softtoken.Script)
	if err := f.addPage(look); err != nil {
		return nil, err
	}
	if err := f.addManifest(look); err != nil {
		return nil, err
	}
	return f, f.addWorker()
}

func (f *Files) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	f.all[name] = file{kind, `"` + hex.EncodeToString(sum[:12]) + `"`, content}
}

// addPage puts the name and the languages into the page.
func (f *Files) addPage(look Look) error {
	const source = "/index.html"
	t, err := template.New(source).Parse(string(f.all[source].content))
	if err != nil {
		return err
	}
	sites, err := json.Marshal(look.Sites)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, struct{ Name, Languages, Sites string }{look.Name, strings.Join(look.Languages, " "), string(sites)}); err != nil {
		return err
	}
	delete(f.all, source)
	f.add(pageName, page.Bytes())
	p := f.all[pageName]
	p.kind = kinds[".html"]
	f.all[pageName] = p
	return nil
}

// addManifest makes what a browser needs to install the app (W3C appmanifest).
func (f *Files) addManifest(look Look) error {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose"`
	}
	text, err := json.Marshal(struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		ShortName  string `json:"short_name"`
		StartURL   string `json:"start_url"`
		Scope      string `json:"scope"`
		Display    string `json:"display"`
		Background string `json:"background_color"`
		Theme      string `json:"theme_color"`
		Icons      []icon `json:"icons"`
	}{
		"/", look.Name, shortName(look.Name), "/", "/", "standalone", "#ffffff", "#1d4ed8", []icon{
			{"/icon-192.png", "192x192", "image/png", "any"},
			{"/icon-512.png", "512x512", "image/png", "any"},
			{"/icon-maskable-512.png", "512x512", "image/png", "maskable"},
		},
	})
	f.add(manifestName, text)
	return err
}

// shortName fits under an icon.
func shortName(name string) string {
	if runes := []rune(name); len(runes) > 12 {
		return strings.TrimSpace(string(runes[:12]))
	}
	return name
}

// addWorker tells the service worker what there is, and of which version: a
// new one is kept whole before it takes the place of the old.
func (f *Files) addWorker() error {
	all := sha256.New()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.all)) {
		if name == workerName {
			continue
		}
		names = append(names, name)
		fmt.Fprintln(all, name, f.all[name].tag)
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("const VERSION = %q;\nconst FILES = %s;\n", hex.EncodeToString(all.Sum(nil)[:12]), list)
	f.add(workerName, append([]byte(head), f.all[workerName].content...))
	return nil
}

// appPolicy lets nothing in that is not the app's own, and nothing that is made
// of text run. Pictures and the camera's image are read by the app itself.
const appPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; " +
	"manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types worker"

// harden sets the headers of every answer on the app's host.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", appPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), clipboard-read=(self), clipboard-write=(self), publickey-credentials-get=(self), "+
		"publickey-credentials-create=(self), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// ServeHTTP serves the app. Browsers ask each time whether a file has changed.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		f.fail(w, r, http.StatusMethodNotAllowed)
		return
	}
	found, ok := f.all[r.URL.Path]
	if !ok {
		f.fail(w, r, http.StatusNotFound)
		return
	}
	h := w.Header()
	harden(h)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", found.kind)
	h.Set("ETag", found.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.content))
}
