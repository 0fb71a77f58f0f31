package inject

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/stepgate/stepgate/internal/web"
)

func newScript(t testing.TB) *Script {
	t.Helper()
	s, err := New(&web.Site{Origin: "https://portal.test"}, []string{"en", "cy"}, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const document = "<!doctype html><html><head><title>x</title></head><body>y</body></html>"

func TestWhichRequestsAreForPages(t *testing.T) {
	for _, row := range []struct {
		name, method string
		header       http.Header
		want         bool
	}{
		{"a window", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true},
		{"a form", "POST", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true},
		{"an old browser", "GET", http.Header{"Accept": {"text/html,*/*"}}, true},
		{"a frame", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}, "Sec-Fetch-Site": {"same-origin"}}, true},
		{"a frame of another site", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}, "Sec-Fetch-Site": {"cross-site"}}, false},
		{"an object", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"object"}, "Sec-Fetch-Site": {"same-origin"}}, false},
		{"a fetch", "GET", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}, false},
		{"jQuery", "GET", http.Header{"X-Requested-With": {"XMLHttpRequest"}, "Accept": {"text/html"}}, false},
		{"a program", "GET", http.Header{"Accept": {"*/*"}}, false},
		{"HEAD", "HEAD", http.Header{"Accept": {"text/html"}}, false},
		{"a range", "GET", http.Header{"Accept": {"text/html"}, "Range": {"bytes=0-5"}}, false},
	} {
		r := httptest.NewRequest(row.method, "/", nil)
		r.Header = row.header
		if got := Wanted(r); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
}

func TestOnlyCodingsThatWeCanUndoAreOffered(t *testing.T) {
	for offered, want := range map[string]string{
		"gzip, deflate, br, zstd": "gzip", "br": "identity", "zstd, br;q=0.9": "identity", "*": "gzip", "gzip;q=0": "identity",
		"*;q=0, gzip; q=0.5": "gzip", "identity": "identity", "": "identity", "GZIP": "gzip",
	} {
		h := http.Header{"Accept-Encoding": {offered}}
		Narrow(h)
		if got := h.Get("Accept-Encoding"); got != want {
			t.Errorf("%q becomes %q", offered, got)
		}
	}
	h := http.Header{}
	if Narrow(h); len(h) != 0 {
		t.Errorf("of nothing comes %v", h)
	}
}

func TestWhichAnswersHaveTheScript(t *testing.T) {
	page := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	with := func(name string, values ...string) http.Header {
		h := page.Clone()
		h[name] = values
		return h
	}
	for _, row := range []struct {
		name   string
		status int
		header http.Header
		want   bool
	}{
		{"a page", 200, page, true},
		{"an error page", 404, page, true},
		{"XHTML", 200, with("Content-Type", "application/xhtml+xml"), true},
		{"a broken type", 200, with("Content-Type", "TEXT/HTML; charset"), true},
		{"a coding that we undo", 200, with("Content-Encoding", "gzip"), true},
		{"a page in its own words", 200, with("Content-Disposition", "inline; filename=x.html"), true},
		{"no page", 200, with("Content-Type", "text/plain"), false},
		{"no type", 200, http.Header{}, false},
		{"two types", 200, with("Content-Type", "text/html", "text/plain"), false},
		{"another coding", 200, with("Content-Encoding", "br"), false},
		{"several codings", 200, with("Content-Encoding", "gzip", "br"), false},
		{"a download", 200, with("Content-Disposition", "attachment; filename=x.html"), false},
		{"not to be touched", 200, with("Cache-Control", "private, no-transform"), false},
		{"a redirect", 302, page, false},
		{"a part", 206, page, false},
		{"no content", 204, page, false},
		{"nothing in it", 200, with("Content-Length", "0"), false},
	} {
		h := row.header.Clone()
		if h["Content-Length"] == nil {
			h.Set("Content-Length", "71")
		}
		h.Set("Etag", `"x"`)
		h.Set("Content-Security-Policy", "default-src 'none'")
		before := h.Clone()
		p := &Page{Script: newScript(t), Shown: true}
		if got := p.Prepare(row.status, h); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
		before.Del("Vary")
		h.Del("Vary")
		if changed := h.Get("Content-Length") == "" && h.Get("Etag") == `W/"x"` && h.Get("Content-Security-Policy") != "default-src 'none'"; changed != row.want {
			t.Errorf("%s: the header is %v, was %v", row.name, h, before)
		}
	}
}

func TestHowLongAPageBecomesIsKnownWithItsFirstBytes(t *testing.T) {
	tagged := int64(len(newScript(t).tag(&Page{}, allowance{})))
	for _, row := range []struct {
		name, text  string
		header      http.Header
		soon, later int64 // what is known after the first bytes, and at the end
	}{
		{"a page", document, http.Header{"Content-Length": {"71"}}, 71 + tagged, 71 + tagged},
		{"a fragment", "<p>x", http.Header{"Content-Length": {"4"}}, 4, 4},
		{"half a tag", "<html><he", http.Header{"Content-Length": {"9"}}, -1, 9},
		{"a long way to the head", "<html><!-- x", http.Header{"Content-Length": {"12"}}, -1, 12},
		{"nobody has said", document, http.Header{}, -1, -1},
		{"said twice", document, http.Header{"Content-Length": {"71", "72"}}, -1, -1},
		{"packed", string(packed(t, document)), http.Header{"Content-Length": {"71"}, "Content-Encoding": {"gzip"}}, -1, -1},
		{"UTF-16", wide("<html><head>", utf16LE, true), http.Header{"Content-Length": {"26"}}, 26 + 2*tagged, 26 + 2*tagged},
	} {
		p := &Page{Script: newScript(t), Shown: true}
		h := row.header.Clone()
		h.Set("Content-Type", "text/html")
		if !p.Prepare(200, h) || h["Content-Length"] != nil {
			t.Fatalf("%s: %v", row.name, h)
		}
		var out bytes.Buffer
		body := p.Body(&out)
		if n, soon := p.Length(); n != -1 || soon != (row.later >= 0) {
			t.Errorf("%s: before its first bytes it is %d long (soon: %t)", row.name, n, soon)
		}
		io.WriteString(body, row.text)
		if n, _ := p.Length(); n != row.soon {
			t.Errorf("%s: it becomes %d long, want %d", row.name, n, row.soon)
		}
		body.Close()
		if n, _ := p.Length(); n != row.later || n >= 0 && n != int64(out.Len()) {
			t.Errorf("%s: it has become %d long, want %d; it is %d", row.name, n, row.later, out.Len())
		}
	}
}

func TestAFetchedPageStaysAsItIsAndIsKeptApart(t *testing.T) {
	h := http.Header{"Content-Type": {"text/html"}, "Content-Length": {"5"}, "Vary": {"Accept"}}
	p := &Page{Script: newScript(t)}
	if p.Prepare(200, h) || h.Get("Content-Length") != "5" {
		t.Errorf("it is changed: %v", h)
	}
	if got := strings.Join(h["Vary"], ", "); got != "Accept, Sec-Fetch-Dest" {
		t.Errorf("Vary: %s", got)
	}
}

func TestAKeptPageIsToldThePolicyAnew(t *testing.T) {
	h := http.Header{"Content-Security-Policy": {"script-src 'self'"}, "Etag": {`"x"`}}
	p := &Page{Script: newScript(t), Shown: true}
	if p.Prepare(http.StatusNotModified, h) || !strings.Contains(h.Get("Content-Security-Policy"), p.Script.Path) || h.Get("Etag") != `W/"x"` {
		t.Errorf("%v", h)
	}
}

// packed is a text in gzip, flushed in between.
func packed(t testing.TB, pieces ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, p := range pieces {
		io.WriteString(w, p)
		w.Flush()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpacked(t testing.TB, b []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(text)
}

func gzipPage(t testing.TB) *Page {
	t.Helper()
	p := &Page{Script: newScript(t), Shown: true, Mark: "abc", Ends: 90 * time.Second}
	if !p.Prepare(200, http.Header{"Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}}) {
		t.Fatal("not taken")
	}
	return p
}

func TestAPackedPageIsPackedAgain(t *testing.T) {
	long := document + strings.Repeat("<p>One more line.", 200_000)
	for _, size := range []int{1, 7, 4096, 1 << 30} {
		for _, tail := range []string{"", "rubbish behind the end"} {
			p := gzipPage(t)
			var out bytes.Buffer
			body := p.Body(&out)
			in := append(packed(t, long), tail...)
			if size == 1 {
				in = append(packed(t, document), tail...)
			}
			for rest := in; len(rest) > 0; {
				n := min(size, len(rest))
				piece := bytes.Clone(rest[:n])
				if _, err := body.Write(piece); err != nil {
					t.Fatal(err)
				}
				clear(piece)
				rest = rest[n:]
			}
			if err := body.Close(); err != nil {
				t.Fatal(err)
			}
			got := unpacked(t, out.Bytes())
			want := strings.Replace(unpacked(t, in[:len(in)-len(tail)]), "<head>", "<head>"+p.body.tag, 1)
			if got != want {
				t.Fatalf("in pieces of %d: %.300q", size, got)
			}
		}
	}
}

func TestWhatIsFlushedArrives(t *testing.T) {
	p := gzipPage(t)
	var out bytes.Buffer
	body := p.Body(&out)
	in := packed(t, "<html><head>", "<title>x</title>")
	// All but the end: what was flushed in between can be read by now.
	body.Write(in[:len(in)-10])
	body.Flush()
	r, err := gzip.NewReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("<html><head>")+len(p.body.tag)+len("<title>x</title>"))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "<html><head>"+p.body.tag+"<title>x</title>" {
		t.Errorf("%q, %v", got, err)
	}
	body.Write(in[len(in)-10:])
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestABrokenPackedPageStaysBroken(t *testing.T) {
	whole := packed(t, document)
	for name, in := range map[string][]byte{"no gzip": []byte(document), "half": whole[:len(whole)/2], "a wrong sum": append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 5, 6, 7, 8)} {
		p := gzipPage(t)
		var out bytes.Buffer
		body := p.Body(&out)
		_, wrote := body.Write(in)
		closed := body.Close()
		if wrote == nil && closed == nil {
			t.Errorf("%s: passes", name)
		}
		if r, err := gzip.NewReader(&out); err == nil {
			if text, err := io.ReadAll(r); err == nil {
				t.Errorf("%s: arrives as if it were whole: %q", name, text)
			}
		}
	}
}

func TestTheTagSaysWhoseItIsAndForHowLong(t *testing.T) {
	p := gzipPage(t)
	if want := `<script src="` + p.Script.Path + `" data-mark="abc" data-ends="90"></script>`; p.body.tag != want {
		t.Errorf("%s", p.body.tag)
	}
}

func TestTheScriptIsServed(t *testing.T) {
	s := newScript(t)
	get := func(path, coding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", coding)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	plain, zipped := get(s.Path, "identity"), get(s.Path, "gzip")
	if plain.Body.String() != unpacked(t, zipped.Body.Bytes()) || !strings.Contains(plain.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%v", plain.Header())
	}
	if old := get(s.site.Path("/assets/step-up.0.js"), ""); old.Code != 200 || strings.Contains(old.Header().Get("Cache-Control"), "public") {
		t.Errorf("of an older version: %d %v", old.Code, old.Header())
	}
	if s.Serves("/.stepgate/assets/style.css") || !s.Serves(s.Path) || s.Serves("/.stepgate/assets/step-up.x/y.js") {
		t.Error("it serves other files too")
	}
}

func TestTheTextsOfTheScriptAreThereInBothLanguages(t *testing.T) {
	s := newScript(t)
	for _, text := range []string{"Confirm it is you", "Cadarnhewch mai chi sydd yna"} {
		if !bytes.Contains(s.text, []byte(text)) {
			t.Errorf("no %q", text)
		}
	}
}
