package inject

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

const testTag = `<script src="/.stepgate/assets/step-up.0123456789abcdef.js"></script>`

// rewritten passes a document through in pieces of the given sizes, and the
// rest in one.
func rewritten(t testing.TB, document string, as order, xml bool, sizes ...int) string {
	t.Helper()
	var out bytes.Buffer
	r := newRewriter(&out, testTag, as, xml)
	rest := []byte(document)
	for _, n := range append(sizes, len(rest)) {
		n = min(n, len(rest))
		piece := bytes.Clone(rest[:n])
		if written, err := r.Write(piece); written != n || err != nil {
			t.Fatalf("wrote %d of %d: %v", written, n, err)
		}
		clear(piece) // it is the caller's again
		rest = rest[n:]
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// wide writes a text in UTF-16, with a byte-order mark where one is wanted.
func wide(text string, as order, mark bool) string {
	var b strings.Builder
	if mark {
		text = "\ufeff" + text
	}
	for _, u := range utf16.Encode([]rune(text)) {
		if as == utf16LE {
			b.Write([]byte{byte(u), byte(u >> 8)})
		} else {
			b.Write([]byte{byte(u >> 8), byte(u)})
		}
	}
	return b.String()
}

// In the pages below ^ is where the script goes; one without it passes as it
// is.
func TestTheScriptGoesIntoTheHead(t *testing.T) {
	if testing.Short() {
		t.Skip("cuts a hundred pages everywhere")
	}
	seen := map[string]bool{}
	for _, page := range oddPages() {
		seen[page.text] = true
	}
	if len(seen) < 100 {
		t.Errorf("%d odd pages are not a hundred", len(seen))
	}
	for _, page := range oddPages() {
		t.Run(page.name, func(t *testing.T) {
			before, behind, found := strings.Cut(page.text, "^")
			want := before + behind
			if found {
				want = before + testTag + behind
			}
			document := before + behind
			for _, sizes := range [][]int{nil, {1}, {2, 1}, ones(len(document))} {
				if got := rewritten(t, document, octets, page.xml, sizes...); got != want {
					t.Fatalf("in pieces of %v:\n%.300q\nwant\n%.300q", sizes[:min(3, len(sizes))], got, want)
				}
			}
			if strings.ContainsRune(document, '\ufeff') || !isASCII(document) {
				return
			}
			for _, as := range []order{utf16LE, utf16BE} {
				wideWant := wide(want, as, true)
				for _, sizes := range [][]int{nil, {1}, ones(2*len(document) + 2)} {
					if got := rewritten(t, wide(document, as, true), octets, page.xml, sizes...); got != wideWant {
						t.Fatalf("as UTF-16 with a mark: %.200q", got)
					}
					if got := rewritten(t, wide(document, as, false), as, page.xml, sizes...); got != wide(want, as, false) {
						t.Fatalf("as UTF-16 by its header: %.200q", got)
					}
				}
			}
		})
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}

func ones(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = 1
	}
	return all
}

// without takes the script out again, and tells how often it was there.
func without(output, tag string) (string, int) {
	n := strings.Count(output, tag)
	return strings.Replace(output, tag, "", 1), n
}

func checkUntouched(t interface {
	Helper()
	Fatalf(string, ...any)
}, document, output string) {
	t.Helper()
	for _, tag := range []string{testTag, wide(testTag, utf16LE, false), wide(testTag, utf16BE, false)} {
		if rest, n := without(output, tag); n > strings.Count(document, tag) {
			output = rest
			break
		}
	}
	if output != document {
		t.Fatalf("the page has changed:\n%.300q\nwas\n%.300q", output, document)
	}
}

func TestNothingOfAnyPageChanges(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		"<", ">", "<!", "<!--", "-->", "--!>", "-", "--", "<?", "?>", "<!doctype html>", "<!DOCTYPE", "<html", "<head", "<HEAD>", "<head>", "</head>",
		"<title>", "<body>", "<frameset>", "<script>", "<plaintext>", "<svg>", "<![CDATA[", "]]>", " ", "\n", "\x00", "\"", "'", "=", "/", "a", "d", "x",
		"\xff", "\xfe", "\xef\xbb\xbf", "\ufeff", "\x1b$B", "é", "<html lang='>'>", `<head data-x="a>b">`, "<\x00h\x00", "\x00<", "h\x00e\x00a\x00d\x00>\x00",
	})
	rapid.Check(t, func(t *rapid.T) {
		document := strings.Join(rapid.SliceOfN(pieces, 0, 24).Draw(t, "document"), "")
		sizes := rapid.SliceOfN(rapid.IntRange(0, 7), 0, 40).Draw(t, "sizes")
		as := rapid.SampledFrom([]order{octets, utf16LE, utf16BE}).Draw(t, "order")
		xml := rapid.Bool().Draw(t, "xml")
		var out bytes.Buffer
		r := newRewriter(&out, testTag, as, xml)
		rest := document
		for _, n := range append(sizes, len(rest)) {
			n = min(n, len(rest))
			r.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		r.Close()
		checkUntouched(t, document, out.String())
	})
}

func FuzzRewriter(f *testing.F) {
	for _, page := range oddPages() {
		if len(page.text) < 4<<10 {
			f.Add([]byte(strings.ReplaceAll(page.text, "^", "")), uint8(3), page.xml)
		}
	}
	f.Add([]byte(wide("<!doctype html><head>", utf16LE, true)), uint8(1), false)
	f.Fuzz(func(t *testing.T, document []byte, size uint8, xml bool) {
		sizes := ones(len(document))
		for i := range sizes {
			sizes[i] = int(size)
		}
		whole, split := rewritten(t, string(document), octets, xml), rewritten(t, string(document), octets, xml, sizes...)
		if size > 0 && whole != split {
			t.Fatalf("pieces of %d: %.300q\nin one: %.300q", size, split, whole)
		}
		checkUntouched(t, string(document), whole)
	})
}

// TestAPageOfFiftyMegabytesIsNotKept has a page whose head never comes, and
// one with a table that never ends.
func TestAPageOfFiftyMegabytesIsNotKept(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 250 MB")
	}
	row := []byte(strings.Repeat("<tr><td>1<td>2", 1000))
	for _, begin := range []string{"<!doctype html><html><head>", "<table>", "<!-- ", "<html a=\"", "<!doctype "} {
		var sent int
		r := newRewriter(countWriter{&sent}, testTag, octets, false)
		r.Write([]byte(begin))
		total := len(begin)
		for total < 50<<20 {
			r.Write(row)
			total += len(row)
			if len(r.held) > 2*maxName {
				t.Fatalf("%q: %d bytes are held back", begin, len(r.held))
			}
		}
		r.Close()
		if added := sent - total; added != 0 && added != len(testTag) {
			t.Errorf("%q: %d bytes more than came", begin, added)
		}
	}
}

type countWriter struct{ n *int }

func (c countWriter) Write(p []byte) (int, error) {
	*c.n += len(p)
	return len(p), nil
}

func BenchmarkRewriter(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20} {
		page := []byte("<!doctype html>\n<html lang=\"en\">\n<head>\n<title>Cases</title></head><body>" + strings.Repeat("<p>One more line of a page.</p>\n", size/31))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				var sent int
				r := newRewriter(countWriter{&sent}, testTag, octets, false)
				for rest := page; len(rest) > 0; {
					n := min(32<<10, len(rest))
					r.Write(rest[:n])
					rest = rest[n:]
				}
				r.Close()
			}
		})
	}
}
