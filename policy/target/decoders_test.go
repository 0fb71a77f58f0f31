package target

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Small models of how servers get from a request line to the path that they
// serve, after their documentation. Each takes a path and gives the paths it
// may arrive at. An encoded slash that stays part of a segment is "%2f".

type decoder struct {
	name  string
	paths func(path string) []string
}

var decoders = []decoder{
	// net/http's ServeMux: Path decoded once and cleaned, or the escaped
	// path matched segment by segment with each decoded.
	{"go", func(p string) []string {
		return []string{clean(merge(decode(p, false))), merge(decode(p, true)), decode(p, true)}
	}},
	// nginx and PHP-FPM: decoded, slashes merged, split behind the first
	// script (fastcgi_split_path_info); a front controller that routes by
	// REQUEST_URI sees it as sent, or decodes it itself.
	{"php", func(p string) []string {
		uri := merge(decode(p, false))
		all := []string{uri, p, decode(p, false)}
		if i := strings.Index(strings.ToLower(uri), ".php/"); i >= 0 {
			all = append(all, uri[i+len(".php"):])
		}
		return all
	}},
	// Tomcat: path parameters go first, then one decoding, then slashes and
	// dots; an encoded slash is decoded or kept as EncodedSolidusHandling
	// says. Frameworks on it do the same to the decoded path once more.
	{"tomcat", func(p string) []string {
		p = eachSegment(p, cutAt(";"))
		one := clean(merge(decode(p, false)))
		return []string{one, merge(decode(p, true)), merge(eachSegment(one, cutAt(";")))}
	}},
	// IIS on NTFS: decoded once or, with double escaping, twice; streams,
	// then dots and blanks at the end of the last segment and single dots at
	// the end of others fall away.
	{"iis", func(p string) []string {
		var all []string
		for range 2 {
			p = decode(p, false)
			files := eachSegment(p, cutAt(":"))
			dir, file := files[:strings.LastIndex(files, "/")+1], files[strings.LastIndex(files, "/")+1:]
			dir = eachSegment(dir, func(s string) string { return strings.TrimSuffix(s, ".") })
			all = append(all, files, strings.ToUpper(dir+strings.TrimRight(file, ". ")))
		}
		return all
	}},
	// Win32 file names: no segment keeps dots and blanks at its end. What is
	// nothing else is refused.
	{"windows", func(p string) []string {
		p = decode(p, false)
		return []string{eachSegment(p, func(s string) string { return strings.TrimRight(s, ". ") })}
	}},
	// Apache with encoded slashes kept and slashes merged; then the first
	// script that is a file, at any depth, and what follows it.
	{"apache", func(p string) []string {
		p = merge(decode(p, true))
		all := []string{p}
		for i := range p {
			if before := strings.ToLower(p[:i]); p[i] == '/' && strings.HasSuffix(before, ".php") && !strings.HasSuffix(before, "/.php") {
				all = append(all, p[i:])
			}
		}
		return all
	}},
	// lighttpd: decoded once, then all in lower case.
	{"lighttpd", func(p string) []string { return []string{strings.ToLower(merge(decode(p, false)))} }},
	// WSGI (PEP 3333): PATH_INFO decoded once; some servers strip leading
	// slashes to one. CGI has a script before it.
	{"wsgi", func(p string) []string {
		info := decode(p, false)
		all := []string{info, "/" + strings.TrimLeft(info, "/")}
		if rest, ok := strings.CutPrefix(strings.ToLower(info), "/cgi-bin/"); ok {
			if i := strings.IndexByte(rest, '/'); i > 0 {
				all = append(all, rest[i:])
			}
		}
		return all
	}},
	// Express: routes match the raw path without regard to letter case;
	// parameters are decoded one by one.
	{"express", func(p string) []string { return []string{p, strings.ToLower(p), decode(p, true)} }},
	// ASP.NET: a session in parentheses goes, with the slash before it or
	// behind it, wherever a segment begins (CVE-2023-36899).
	{"aspnet", func(p string) []string {
		p = decode(p, false)
		return []string{aspSession.ReplaceAllString(p, "/"), clean(merge("/" + aspSession.ReplaceAllString(p, "")))}
	}},
	// A rewriting proxy that decodes, then parses the result as a URL again.
	{"reparse", func(p string) []string {
		p = decode(p, false)
		file, _, _ := strings.Cut(p, "#")
		path, _, _ := strings.Cut(file, "?")
		return []string{file, path}
	}},
}

var aspSession = regexp.MustCompile(`/\(([A-Za-z]\([^()/]*\))+\)`)

func merge(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}

// clean resolves dot segments (RFC 3986 §5.2.4).
func clean(p string) string {
	var out []string
	for seg := range strings.SplitSeq(p[1:], "/") {
		switch {
		case seg == ".":
		case seg != "..":
			out = append(out, seg)
		case len(out) > 0:
			out = out[:len(out)-1]
		}
	}
	return "/" + strings.Join(out, "/")
}

func cutAt(sep string) func(string) string {
	return func(seg string) string {
		seg, _, _ = strings.Cut(seg, sep)
		return seg
	}
}

func eachSegment(p string, do func(string) string) string {
	segs := strings.Split(p[1:], "/")
	for i := range segs {
		segs[i] = do(segs[i])
	}
	return "/" + strings.Join(segs, "/")
}

// drawTarget draws paths from pieces that mean something to some server.
func drawTarget(t *rapid.T) string {
	piece := rapid.SampledFrom([]string{
		"/", "/", "/", "/", "a", "B", "admin", "x.php", "X.ASP", "cgi-bin", "v1.2",
		"%2f", "%2F", "%252F", "%25252f", ";", "%3b", "%253B", ";p=1", ":", "%3a", "::$DATA",
		"(S(x))", "(X(1)F(y))", "%28A(b)%29", "...", ".", "%2e", "%252e", "%20", "%2520", "+", "%2B", "%00", "%25", "%61", "%2541", "%u0061",
		"%C3%A9", "%25C3%25A9", "%EF%BC%A1", "%EF%BC%8F", "%EF%BC%8E", "%E2%80%8B", "%E2%80%A6", "%C0%AF", "%E9",
		"%3f", "%253F", "%23", "%5c", "%40", "%22",
	})
	return "/" + strings.Join(rapid.SliceOfN(piece, 0, 9).Draw(t, "pieces"), "")
}

// arrivals gives the paths that chains of up to two decoders arrive at: a
// proxy and an application behind it.
func arrivals(raw string) map[string]string {
	all := map[string]string{}
	for _, one := range decoders {
		for _, p := range one.paths(raw) {
			all[p] = one.name
			for _, two := range decoders {
				if p == "" || p[0] != '/' {
					continue
				}
				for _, q := range two.paths(p) {
					if _, known := all[q]; !known {
						all[q] = one.name + ", " + two.name
					}
				}
			}
		}
	}
	return all
}

func checkArrivals(t interface{ Fatalf(string, ...any) }, r *Reader, raw string) (read bool) {
	rs, err := r.Read(raw)
	if err != nil {
		return false
	}
	got := paths(&rs)
	for p, by := range arrivals(raw) {
		if !slices.Contains(got, foldPath(p)) && !slices.Contains(got, FoldSegment(p)) {
			t.Fatalf("Read(%q): %s arrives at %q, folded %q, which is no reading:\n%q", raw, by, p, foldPath(p), got)
		}
	}
	return true
}

func TestEveryServersPathIsAReading(t *testing.T) {
	r := newReader(t)
	for _, tt := range readingsTable {
		raw, _, _ := strings.Cut(tt.raw, "?")
		if !checkArrivals(t, r, raw) {
			t.Errorf("%q is refused", raw)
		}
	}
	drawn, read := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		drawn++
		if checkArrivals(t, r, drawTarget(t)) {
			read++
		}
	})
	t.Logf("%d of %d drawn targets had readings", read, drawn)
}

// A path that needs no escapes is a reading of every way to escape it, up to
// six times a byte.
func TestPlainSpellingIsAReading(t *testing.T) {
	r := newReader(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := "/" + rapid.StringMatching(`[a-z0-9]{1,4}(/[a-zA-Z0-9]{1,4}){0,3}`).Draw(t, "plain")
		var raw strings.Builder
		raw.WriteByte('/')
		for _, c := range []byte(plain[1:]) {
			spelling := string(c)
			if n := rapid.IntRange(-3, MaxDecodings).Draw(t, "escapes"); n > 0 {
				spelling = escape(c, n)
			}
			raw.WriteString(spelling)
		}
		rs, err := r.Read(raw.String())
		if err != nil {
			t.Fatalf("Read(%q): %v", raw.String(), err)
		}
		if !slices.Contains(paths(&rs), strings.ToLower(plain)) {
			t.Fatalf("Read(%q) = %q, want %q among them", raw.String(), paths(&rs), plain)
		}
	})
}

// escape writes a byte so that n decodings give it back.
func escape(c byte, n int) string {
	const digits = "0123456789ABCDEF"
	return "%" + strings.Repeat("25", n-1) + string([]byte{digits[c>>4], digits[c&15]})
}
