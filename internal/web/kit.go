package web

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed kit
var embedded embed.FS

// ownSet is the name of the kit's own files, in an operator's directory too.
const ownSet = "web"

// Options are what a Kit is made of. The zero value gives a working one.
type Options struct {
	// Override is the operator's directory: SET/FILE replaces the file of that
	// name of that set. Nil replaces nothing.
	Override fs.FS
	// Log takes what Handle has to report. Nil reports nothing.
	Log LogFunc
	// Refused hears of each request that Handle refused and that nobody has
	// written down yet, and of each page with status 429, with the reference
	// that it shows. Nil hears of nothing.
	Refused func(r *http.Request, reference string, err error)
	// Now is the clock. Nil is the system's.
	Now func() time.Time
}

// Kit renders pages of packages that bring their own templates. Parse is for
// start-up; everything else is safe for concurrent use.
type Kit struct {
	options Options
	files   *bundle
	assets  *assets
	own     *Pages
	// lastReport is when a report was last let through, in Unix nanoseconds.
	lastReport atomic.Int64
}

// New reads the kit's own files. Errors name the file that is broken.
func New(options Options) (*Kit, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	sub, err := fs.Sub(embedded, "kit")
	if err != nil {
		return nil, fmt.Errorf("pages %s: %w", ownSet, err)
	}
	files, err := readBundle(sub, options.Override, ownSet)
	if err != nil {
		return nil, err
	}
	k := &Kit{options: options, files: files, assets: newAssets()}
	k.assets.add(files.assets)
	own := &bundle{templates: map[string]string{}, texts: files.texts}
	for name, text := range files.templates {
		if name != layoutFile && name != partsFile {
			own.templates[name] = text
		}
	}
	if k.own, err = k.parse(ownSet, own, []string{"fail", "framed"}); err != nil {
		return nil, err
	}
	return k, nil
}

// Parse reads a set: a package's templates, texts and assets, with the
// operator's over them under the same set's name. It fails when one of pages is
// missing, when a template does not parse or escape, and when one uses a text
// that does not exist in English.
func (k *Kit) Parse(set string, fsys fs.FS, pages ...string) (*Pages, error) {
	files, err := readBundle(fsys, k.options.Override, set)
	if err != nil {
		return nil, err
	}
	k.assets.add(files.assets)
	return k.parse(set, files, pages)
}

// Share adds a file that pages of every set may load, under a plain name: one
// that another room has for itself as well.
func (k *Kit) Share(name string, data []byte) { k.assets.add(map[string][]byte{name: data}) }

// Languages are those that the kit's own pages are in.
func Languages() []string {
	names, _ := fs.Glob(embedded, "kit/texts_*.json")
	for i, name := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(name, "kit/texts_"), ".json")
	}
	return names
}

// CheckSite tells what of a site's settings no page could follow: a language
// that the kit has no texts for.
func (k *Kit) CheckSite(site *Site) error {
	for _, lang := range site.languages() {
		if k.files.texts[lang] == nil {
			return fmt.Errorf("language %q: there is no texts_%s.json", lang, lang)
		}
	}
	return nil
}
