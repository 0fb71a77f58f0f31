package inject

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/stepgate/stepgate/internal/web"
)

//go:embed client texts
var embedded embed.FS

// Script is the script of one site. It is made once and only read afterwards.
type Script struct {
	// Path is where Script answers, in the site's own address.
	Path string

	site      *web.Site
	address   string // Path with the site's origin
	integrity string // as a tag and a policy name it
	text      []byte
	packed    []byte
	fetched   Page
}

// scriptFile is the name of the script below the site's assets, without its
// hash.
const scriptFile = "/assets/step-up."

// New makes the script of a site. Early has it say above a long form that
// sending the form will ask for more.
func New(site *web.Site, languages []string, early bool) (*Script, error) {
	text, err := compose(site, languages, early)
	if err != nil {
		return nil, fmt.Errorf("the script for pages of the application: %w", err)
	}
	sum := sha256.Sum256(text)
	path := site.Path(scriptFile + hex.EncodeToString(sum[:8]) + ".js")
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(text); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	s := &Script{
		Path: path, site: site, address: site.Origin + path, integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		text: text, packed: packed.Bytes(),
	}
	s.fetched.Script = s
	return s, nil
}

// settings are what the script knows from the beginning.
type settings struct {
	Prefix    string                       `json:"prefix"`
	Languages []string                     `json:"languages"`
	Texts     map[string]map[string]string `json:"texts"`
	Early     bool                         `json:"early"`
}

// compose joins the parts of the script, in the order of their names, into
// one function that leaves nothing behind for the page to see.
func compose(site *web.Site, languages []string, early bool) ([]byte, error) {
	if len(languages) == 0 {
		languages = []string{web.DefaultLanguage}
	}
	known := settings{Prefix: site.Path(""), Texts: map[string]map[string]string{}, Early: early}
	for _, lang := range languages {
		data, err := embedded.ReadFile("texts/" + lang + ".json")
		if err != nil {
			continue // said in the first of the others
		}
		var texts map[string]string
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("texts %s: %w", lang, err)
		}
		known.Languages, known.Texts[lang] = append(known.Languages, lang), texts
	}
	config, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	parts, err := fs.Glob(embedded, "client/*.js")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "(() => {\n\"use strict\";\nconst settings = %s;\n", config)
	for _, name := range parts {
		part, err := embedded.ReadFile(name)
		if err != nil {
			return nil, err
		}
		b.Write(part)
	}
	b.WriteString("})();\n")
	return []byte(b.String()), nil
}

// Serves tells whether a path is that of the script, of this or of another
// version.
func (s *Script) Serves(path string) bool {
	name, ok := strings.CutPrefix(path, s.site.Path(scriptFile))
	return ok && strings.HasSuffix(name, ".js") && !strings.Contains(name, "/")
}

// ServeHTTP gives the script. A page of an older version gets the present
// one, which is then not kept.
func (s *Script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	web.Harden(h, s.site)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	case r.Header.Get("Service-Worker") != "":
		http.Error(w, "not found", http.StatusNotFound)
		return
	case r.URL.Path == s.Path:
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	file := s.text
	if takesGzip(r.Header["Accept-Encoding"]) {
		h.Set("Content-Encoding", "gzip")
		file = s.packed
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
}

// tag is the element that is added to a page. All of it is ASCII.
func (s *Script) tag(p *Page, a allowance) string {
	var b strings.Builder
	b.Grow(256)
	attribute := func(name, value string) {
		b.WriteByte(' ')
		b.WriteString(name)
		b.WriteString(`="`)
		b.WriteString(html.EscapeString(value))
		b.WriteByte('"')
	}
	b.WriteString("<script")
	attribute("src", s.Path)
	if p.Mark != "" {
		attribute("data-mark", p.Mark)
		attribute("data-ends", strconv.Itoa(max(0, int(p.Ends.Seconds()))))
	}
	if p.Login {
		attribute("data-login", "")
	}
	if a.nonce != "" {
		attribute("nonce", a.nonce)
	}
	if a.hashed {
		attribute("integrity", s.integrity)
	}
	b.WriteString("></script>")
	return b.String()
}
