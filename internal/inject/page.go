package inject

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/web"
)

// Page is what becomes of the answer to one request.
type Page struct {
	Script *Script
	// Shown says that a window, or a frame of the same origin, will show the
	// answer.
	Shown bool
	// Login says that this is a page of the app's own login.
	Login bool
	// Mark tells sessions apart without naming one; empty for nobody.
	Mark string
	// Ends is how long the session lives if nothing more is heard of it.
	Ends time.Duration

	body *body
}

// Fetched is what becomes of an answer that no window shows: it stays as it
// is. All such answers of a script share it.
func (s *Script) Fetched() *Page { return &s.fetched }

// Wanted tells whether the answer to a request will be shown as a page, where
// a script can be of use: in a window, or in a frame that a page of the same
// origin has.
func Wanted(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodPost || !web.Navigation(r) && !ownFrame(r) {
		return false
	}
	return len(r.Header["Range"]) == 0 && len(r.Header["Upgrade"]) == 0
}

// ownFrame tells whether a frame that a page of the same origin has will show
// the answer.
func ownFrame(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return (dest == "iframe" || dest == "frame") && web.Framed(r) && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// Narrow leaves a browser's offer of codings to what the script can be added
// in: gzip where the browser takes it, and none.
func Narrow(h http.Header) {
	offered, said := h["Accept-Encoding"]
	if !said {
		return
	}
	narrowed := "identity"
	if takesGzip(offered) {
		narrowed = "gzip"
	}
	h["Accept-Encoding"] = []string{narrowed}
}

// takesGzip reads an Accept-Encoding (RFC 9110 §12.5.3).
func takesGzip(lines []string) bool {
	any := false
	for _, line := range lines {
		for offer := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(offer, ";")
			weight := strings.ReplaceAll(strings.ToLower(params), " ", "")
			refused := false
			if q, ok := strings.CutPrefix(weight, "q="); ok {
				value, err := strconv.ParseFloat(q, 64)
				refused = err != nil || value == 0
			}
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused
			case "*":
				any = !refused
			}
		}
	}
	return any
}

// Prepare looks at the header of an answer that is the last word, and makes
// it fit for a page with the script in it. It tells whether the body is to go
// through Body.
func (p *Page) Prepare(status int, h http.Header) bool {
	kind, charset, ok := htmlType(h)
	if !ok {
		if p.Shown && status == http.StatusNotModified {
			// What the browser keeps takes over the policies of this answer.
			allow(h, p.Script.address, p.Script.integrity)
			weaken(h)
		}
		return false
	}
	// A browser must not show a page that it once fetched without the script.
	vary(h)
	coding := strings.ToLower(strings.Join(h["Content-Encoding"], ","))
	switch {
	case !p.Shown, status < 200, status == http.StatusNoContent, status == http.StatusResetContent, status == http.StatusPartialContent,
		status >= 300 && status < 400, h.Get("Content-Length") == "0":
		return false
	case coding != "" && coding != "identity" && coding != "gzip" && coding != "x-gzip", download(h), told(h, "no-transform"):
		return false
	}
	allowed := allow(h, p.Script.address, p.Script.integrity)
	weaken(h)
	gzipped, length := coding == "gzip" || coding == "x-gzip", int64(-1)
	if !gzipped {
		length = lengthOf(h)
	}
	for _, name := range []string{"Content-Length", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(h, name)
	}
	p.body = &body{
		tag: p.Script.tag(p, allowed), xml: kind == "application/xhtml+xml", as: orderOf(charset),
		gzipped: gzipped, length: length,
	}
	return true
}

// Body passes the body of the answer on to w. Close it at the answer's end.
func (p *Page) Body(w io.Writer) Body { return p.body.open(w) }

// Length is how long the body becomes: n, or -1 where that is not known. Soon
// says that the next bytes of the body may tell.
func (p *Page) Length() (n int64, soon bool) {
	switch b := p.body; {
	case b == nil || b.length < 0:
		return -1, false
	case b.to == nil || !b.to.decided:
		return -1, true
	default:
		return b.length + int64(b.to.added), false
	}
}

// lengthOf is how long the application says that its answer is; -1 where it
// does not.
func lengthOf(h http.Header) int64 {
	said := h["Content-Length"]
	if len(said) != 1 {
		return -1
	}
	n, err := strconv.ParseUint(said[0], 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}

// htmlType reads the type of a page. An answer with several types has none.
func htmlType(h http.Header) (kind, charset string, ok bool) {
	types := h["Content-Type"]
	if len(types) != 1 {
		return "", "", false
	}
	kind, rest, _ := strings.Cut(types[0], ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind != "text/html" && kind != "application/xhtml+xml" {
		return "", "", false
	}
	if rest != "" {
		// Browsers read on where a parameter is broken.
		if _, params, err := mime.ParseMediaType(types[0]); err == nil {
			charset = params["charset"]
		}
	}
	return kind, charset, true
}

// orderOf is how a charset is written (Encoding §4.2): of those that browsers
// know, only UTF-16 is not one of octets that begin with ASCII.
func orderOf(charset string) order {
	switch strings.ToLower(strings.TrimSpace(charset)) {
	case "utf-16", "utf-16le", "unicode", "ucs-2", "iso-10646-ucs-2", "csunicode", "unicodefeff":
		return utf16LE
	case "utf-16be", "unicodefffe":
		return utf16BE
	default:
		return octets
	}
}

func download(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Disposition"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind != "" && kind != "inline"
}

func told(h http.Header, directive string) bool {
	for _, line := range h["Cache-Control"] {
		for d := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(d), directive) {
				return true
			}
		}
	}
	return false
}

// vary keeps what a window was shown apart from what a script fetched.
func vary(h http.Header) {
	const name = "Sec-Fetch-Dest"
	for _, line := range h["Vary"] {
		for v := range strings.SplitSeq(line, ",") {
			if v = strings.TrimSpace(v); v == "*" || strings.EqualFold(v, name) {
				return
			}
		}
	}
	h["Vary"] = append(slices.Clip(h["Vary"]), name)
}

// weaken says that the bytes are no longer those that the tag was made for.
func weaken(h http.Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}
