package target

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newReader(t testing.TB) *Reader {
	t.Helper()
	r, err := NewReader(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func paths(rs *Readings) []string {
	var all []string
	for i := range rs.Len() {
		all = append(all, rs.Path(i))
	}
	return all
}

// The contract's section 3, and the advisories that made it: every row is a
// target that has, or had, a server which serves it from somewhere else.
var readingsTable = []struct {
	raw  string
	want []string
}{
	{"/", []string{"/"}},
	{"/index.html?x=1", []string{"/index.html"}},
	{"/?x=%2e%2e/;a", []string{"/"}},
	{"/~joe/", []string{"/~joe/"}},
	{"/.well-known/x", []string{"/.well-known/x"}},
	{"/file..name", []string{"/file..name"}},
	{"/a+b", []string{"/a+b"}},
	{"/ADMIN/Users", []string{"/admin/users"}},
	{"/a%20b", []string{"/a b"}},
	{"/caf%C3%A9", []string{"/café"}},
	{"/CAF%C3%89", []string{"/café"}},
	{"/a%40b%3D", []string{"/a%40b%3d", "/a@b="}},
	{"/%7B%22x%22%7D", []string{`/{"x"}`}},
	{"/%61dmin", []string{"/%61dmin", "/admin"}},
	{"/%2561dmin", []string{"/%2561dmin", "/%61dmin", "/admin"}},
	{"/100%25", []string{"/100%"}},
	{"/100%25x", []string{"/100%x"}},
	{"/100%2541", []string{"/100%2541", "/100%41", "/100a"}},
	{"/files/a%2Fb", []string{"/files/a%2fb", "/files/a/b"}},
	{"/public/%252fadmin", []string{"/public/%252fadmin", "/public/%2fadmin", "/public//admin", "/public/admin"}},
	{"/x;jsessionid=AB12", []string{"/x;jsessionid=ab12", "/x"}},
	{"/admin;x=1/y", []string{"/admin;x=1/y", "/admin/y"}},
	{"/admin%3Bx", []string{"/admin%3bx", "/admin;x", "/admin"}},
	{"/a:b", []string{"/a:b", "/a"}},
	{"/admin.asp::$DATA", []string{"/admin.asp::$data", "/admin.asp"}},
	{"/v1.2/x.", []string{"/v1.2/x.", "/v1.2/x"}},
	{"/admin%20", []string{"/admin ", "/admin"}},
	{"/admin%C2%A0", []string{"/admin ", "/admin"}},
	{"/admin+", []string{"/admin+", "/admin"}},
	{"/admin.%20", []string{"/admin. ", "/admin.", "/admin"}},
	{"/a//b", []string{"/a//b", "/a/b"}},
	{"/%2Fadmin//x", []string{"/%2fadmin//x", "//admin//x", "/%2fadmin/x", "/admin//x", "/admin/x", "//admin/x"}},
	{"/admin%3Fa", []string{"/admin%3fa", "/admin?a", "/admin"}},
	{"/admin%23a", []string{"/admin%23a", "/admin#a", "/admin"}},
	{"/public.php/secret/x", []string{"/public.php/secret/x", "/secret/x"}},
	{"/PUBLIC.PHP/secret", []string{"/public.php/secret", "/secret"}},
	{"/a.php/b.php/c", []string{"/a.php/b.php/c", "/b.php/c", "/c"}},
	{"/a.php", []string{"/a.php"}},
	{"/a.php/", []string{"/a.php/", "/"}},
	{"/cgi-bin/tool/secret", []string{"/cgi-bin/tool/secret", "/secret"}},
	{"/cgi-bin/tool", []string{"/cgi-bin/tool"}},
	{"/x.php%3B/secret", []string{"/x.php%3b/secret", "/x.php;/secret", "/x.php/secret", "/secret"}},
	{"/%EF%BC%A1dmin", []string{"/admin"}},
	{"/%E2%84%80dmin", []string{"/a／cdmin", "/a/cdmin"}},
	{"/x%EF%BC%9F", []string{"/x？", "/x?", "/x"}},
	{"/%EF%BC%8561", []string{"/％61", "/%61", "/a"}},
	{"/ad%C2%ADmin", []string{"/admin"}},
	{"/%E2%80%8B/admin", []string{"/\u200b/admin", "//admin", "/admin"}},
	{"/%E1%8F%BB", []string{"/ᏻ"}},
	{"/wait%E2%80%A6", []string{"/wait…", "/wait"}},
	{"/cases/%E2%80%A6", []string{"/cases/…", "/cases/"}},
	{"/wait%E2%80%A6%252Fx", []string{"/wait…%252fx", "/wait…%2fx", "/wait…/x", "/wait/x"}},
	{"/wait%E2%80%A6;p", []string{"/wait…;p", "/wait…", "/wait"}},
	{"/wait%E2%80%A6%61", []string{"/wait…%61", "/wait...a"}},
	{"/cases/etc...", []string{"/cases/etc...", "/cases/etc..", "/cases/etc.", "/cases/etc"}},
	{"/was-fehlt.../x", []string{"/was-fehlt.../x", "/was-fehlt../x", "/was-fehlt./x", "/was-fehlt/x"}},
	{"/(S(abc))/secret/x", []string{"/(s(abc))/secret/x", "/secret/x", "//secret/x"}},
	{"/(A(x)F(y))/secret", []string{"/(a(x)f(y))/secret", "/secret", "//secret"}},
	{"/prot/(X(1))ected", []string{"/prot/(x(1))ected", "/protected", "/prot/ected"}},
	{"/%28S%28abc%29%29/x", []string{"/%28s%28abc%29%29/x", "/(s(abc))/x", "/x", "//x"}},
	{"/(lit3py55t21z5v55vlm25s55)/x", []string{"/(lit3py55t21z5v55vlm25s55)/x", "/x", "//x"}},
	{"/x/(S(abc))", []string{"/x/(s(abc))", "/x", "/x/"}},
	{"/(2019)/(draft)/a(S(x))", []string{"/(2019)/(draft)/a(s(x))"}},
	{"/x.php.en/secret", []string{"/x.php.en/secret", "/secret"}},
}

func TestReadGivesEveryReading(t *testing.T) {
	r := newReader(t)
	for _, tt := range readingsTable {
		rs, err := r.Read(tt.raw)
		if err != nil {
			t.Errorf("Read(%q): %v", tt.raw, err)
			continue
		}
		got, want := paths(&rs), tt.want
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Read(%q) readings (-want +got):\n%s", tt.raw, diff)
		}
	}
}

func TestReadRefusesWhatNoHonestBrowserSends(t *testing.T) {
	r := newReader(t)
	for _, tt := range []struct{ raw, reason string }{
		{"", ReasonNotOriginForm},
		{"*", ReasonNotOriginForm},
		{"http://x/admin", ReasonNotOriginForm},
		{"x:443", ReasonNotOriginForm},
		{"//admin", ReasonDoubleSlash},
		{"/a\x00b", ReasonControlByte},
		{"/a\x7fb", ReasonControlByte},
		{"/a b", ReasonBlank},
		{"/admin#", ReasonFragment},
		{`/a\b`, ReasonBackslash},
		{"/caf\xc3\xa9", ReasonNonASCII},
		{"/a%", ReasonBrokenPercent},
		{"/a%4", ReasonBrokenPercent},
		{"/a%zz", ReasonBrokenPercent},
		{"/a%u0061", ReasonPercentU},
		{"/a%25u0061", ReasonPercentU},
		{"/a%2525U0061", ReasonPercentU},
		{"/a%00", ReasonControlByte},
		{"/a%2500", ReasonControlByte},
		{"/a%0a", ReasonControlByte},
		{"/a%C2%85", ReasonControlByte},
		{"/a%5Cb", ReasonBackslash},
		{"/a%255cb", ReasonBackslash},
		{"/a%EF%BC%BCb", ReasonBackslash},
		{"/a%FF", ReasonInvalidUTF8},
		{"/a%E9", ReasonInvalidUTF8},
		{"/a%ED%A0%80", ReasonInvalidUTF8},
		{"/a%C3%25A9", ReasonInvalidUTF8},
		{"/a%C0%AFb", ReasonOverlongUTF8},
		{"/a%25C0%25AFb", ReasonOverlongUTF8},
		{"/a%E0%80%AFb", ReasonOverlongUTF8},
		{"/..", ReasonDotSegment},
		{"/.", ReasonDotSegment},
		{"/public/../admin", ReasonDotSegment},
		{"/public/./admin", ReasonDotSegment},
		{"/admin/.", ReasonDotSegment},
		{"/public/%2e%2e/admin", ReasonDotSegment},
		{"/public/..%2fadmin", ReasonDotSegment},
		{"/public/%252e%252e%252fadmin", ReasonDotSegment},
		{"/a/..%253bx/b", ReasonDotSegment},
		{"/a/..;/b", ReasonDotSegment},
		{"/a/..;x=1/b", ReasonDotSegment},
		{"/a/%2e%2e;x", ReasonDotSegment},
		{"/a/..:x/b", ReasonDotSegment},
		{"/a/..%20/b", ReasonDotSegment},
		{"/a/..+/b", ReasonDotSegment},
		{"/a/...", ReasonDotSegment},
		{"/a/.%20./b", ReasonDotSegment},
		{"/a/.%00./b", ReasonControlByte},
		{"/a/..%3Fx", ReasonDotSegment},
		{"/a/..%23x", ReasonDotSegment},
		{"/a/%EF%BC%8E%EF%BC%8E/b", ReasonDotSegment},
		{"/a/%E2%80%A5/b", ReasonDotSegment},
		{"/a/.%E2%80%8B./b", ReasonDotSegment},
		{"/a/x../b", ReasonTwoDots},
		{"/a/x..%20/b", ReasonTwoDots},
		{"/a/x..;p/b", ReasonTwoDots},
		{"/a/x%252e%252e", ReasonTwoDots},
		{"/a/x.../y..", ReasonTwoDots},
		{"/a/x...;p/y..;p", ReasonTwoDots},
		{"/a/x...%20/y../z", ReasonTwoDots},
		{"/a/%E2%80%A6./b", ReasonDotSegment},
		{"/a/%E2%80%A6%E2%80%A6/b", ReasonDotSegment},
		{"/a/.%E2%80%A6/b", ReasonDotSegment},
		{"/a/(S(x)).../b", ReasonDotSegment},
		{"/a/(S(x))../b", ReasonTwoDots},
		{"/a../(S(x))/b", ReasonTwoDots},
		{"/a./(S(x))./b", ReasonTwoDots},
		{"/%252525252525252541", ReasonTooManyDecodings},
		{"/a;/b;/c;/d;/e;/f;/g;", ReasonTooManyReadings},
	} {
		_, err := r.Read(tt.raw)
		var m *Malformed
		if !errors.As(err, &m) {
			t.Errorf("Read(%q) = %v, want it refused for %s", tt.raw, err, tt.reason)
			continue
		}
		if m.Reason != tt.reason {
			t.Errorf("Read(%q) refused for %s, want %s", tt.raw, m.Reason, tt.reason)
		}
	}
}

func TestACharsetOfTheSiteReadsWhatIsNoUTF8(t *testing.T) {
	r, err := NewReader(Options{Charset: "latin1"})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string][]string{
		"/b%FCro.pdf":     {"/büro.pdf"},
		"/b%C3%BCro":      {"/büro", "/bã1⁄4ro"},
		"/%DCber/b%FCro":  {"/über/büro"},
		"/a%2Fb%E9":       {"/a%2fbé", "/a/bé"},
		"/plain":          {"/plain"},
		"/wait%85":        {"/wait…", "/wait"},
		"/b%FCro;x=1/b%3": nil,
	} {
		rs, err := r.Read(raw)
		if got := paths(&rs); want == nil && err == nil || want != nil && !cmp.Equal(want, got) {
			t.Errorf("Read(%q) = %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"/a%C0%AFb", "/a%E0%80%AF", "/a%81", "/%85%85/x", "/a%25FC", "/a%FC..", "/%2e%2e/%FC", "/%FC%5c"} {
		if rs, err := r.Read(raw); err == nil {
			t.Errorf("Read(%q) = %q, want it refused", raw, paths(&rs))
		}
	}
	if rs, err := newReader(t).Read("/b%FCro"); err == nil {
		t.Errorf("without a charset: %q, want it refused", paths(&rs))
	}
	for _, name := range []string{"shift_jis", "gbk", "utf-16le", "latin-99", "replacement"} {
		if _, err := NewReader(Options{Charset: name}); err == nil {
			t.Errorf("charset %s is taken", name)
		}
	}
}
