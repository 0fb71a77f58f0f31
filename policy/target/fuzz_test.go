package target

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzRead holds Read to what every target promises: an error that says why,
// or at most MaxReadings folded readings, the same each time, all of which a
// client could have asked for and none of which hides more.
func FuzzRead(f *testing.F) {
	for _, tt := range readingsTable {
		f.Add(tt.raw)
	}
	for _, raw := range []string{
		"//x", "/..", "/a/..%253bx/b", "/%252525252525252541", "/a;/b;/c;/d;/e;/f;/g;", "/%u0061", "/%C0%AF",
		"/https%3A%2F%2Fexample.org%2Fa%2Fb%2Fc%3Fd%3De%23f", "/%EF%BC%8Ea", "/x?%zz=1&a;b?c#d", "/%E2%80%8B//a%3f%EF%BC%8E%E2%80%8B",
	} {
		f.Add(raw)
	}
	r := newReader(f)
	f.Fuzz(func(t *testing.T, raw string) {
		rs, err := r.Read(raw)
		if err != nil {
			var m *Malformed
			if !errors.As(err, &m) || reasonText[m.Reason] == "" {
				t.Fatalf("Read(%q): %v", raw, err)
			}
			return
		}
		got := paths(&rs)
		checkReadings(t, &rs)
		again, _ := r.Read(raw)
		if diff := cmp.Diff(got, paths(&again)); diff != "" {
			t.Fatalf("Read(%q) twice (-first +second):\n%s", raw, diff)
		}
		if len(raw) < 512 {
			checkArrivals(t, r, rs.RawPath())
			checkReadingsOfReadings(t, r, got)
		}
		_, _ = rs.QueryValues("action")
	})
}

func checkReadings(t *testing.T, rs *Readings) {
	if n := rs.Len(); n < 1 || n > MaxReadings {
		t.Fatalf("Read(%q) has %d readings", rs.raw, n)
	}
	got := paths(rs)
	for i, p := range got {
		if p == "" || p[0] != '/' || !utf8.ValidString(p) || foldPath(p) != p {
			t.Fatalf("Read(%q): reading %q is no folded path", rs.raw, p)
		}
		if slices.Contains(got[:i], p) {
			t.Fatalf("Read(%q): reading %q twice", rs.raw, p)
		}
		if rs.How(i) == "" {
			t.Fatalf("Read(%q): no words for reading %q", rs.raw, p)
		}
	}
	if rs.RawPath()+"?"+rs.RawQuery() != strings.TrimSuffix(rs.raw, "?")+"?" && rs.RawPath()+"?"+rs.RawQuery() != rs.raw {
		t.Fatalf("Read(%q) splits into %q and %q", rs.raw, rs.RawPath(), rs.RawQuery())
	}
}

// checkReadingsOfReadings sends every reading as a path of its own: what a
// second server finds in it, the first answer has as well.
func checkReadingsOfReadings(t *testing.T, r *Reader, got []string) {
	for _, p := range got {
		rs, err := r.Read(sendable(p))
		if err != nil {
			continue // a lone "%", or two slashes in front, cannot be sent
		}
		for _, q := range paths(&rs) {
			if !slices.ContainsFunc(got, func(g string) bool { return FoldSegment(g) == FoldSegment(q) }) {
				t.Fatalf("%q, a reading of %q sent as %q, is not among\n%q", q, p, sendable(p), got)
			}
		}
	}
}

// sendable escapes what cannot be raw in a path, and nothing else: "?" stays
// and is a query then.
func sendable(p string) string {
	var b strings.Builder
	for _, c := range []byte(p) {
		if classes[c]&classRefused != 0 && c != '#' {
			b.WriteString(escape(c, 1))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
