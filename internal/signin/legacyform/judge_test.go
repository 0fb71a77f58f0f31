package legacyform

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/weld"
)

// login makes a login with an answer.
func login(status int, header http.Header, body string) *Login {
	at, _ := url.Parse("https://a.test/login.php")
	if header == nil {
		header = http.Header{}
	}
	return &Login{Submission: Submission{Username: "joe"}, Answer: &Answer{URL: at, Status: status, Header: header, Body: []byte(body), Whole: true}}
}

func good() http.Header {
	return http.Header{"Location": {"/home"}, "Set-Cookie": {"SESS=new; Path=/"}}
}

// app answers the probe by the cookies it gets.
func app(names map[string]string) Ask {
	return func(_ context.Context, target, cookies string) (*Answer, error) {
		a := &Answer{Status: 200, Header: http.Header{}, Whole: true}
		if who := names[cookies]; target == "/me" && who != "" {
			a.Body = []byte("I am <b>" + who + "</b>")
		}
		return a, nil
	}
}

func TestJudge(t *testing.T) {
	joe := map[string]string{"SESS=new": "Joe", "SESS=old": "Joe", "a=b; SESS=old": "Joe"}
	header := func(pairs ...string) http.Header {
		h := good()
		for i := 0; i < len(pairs); i += 2 {
			if h.Del(pairs[i]); pairs[i+1] != "" {
				h.Set(pairs[i], pairs[i+1])
			}
		}
		return h
	}
	for _, row := range []struct {
		name    string
		change  func(*Config)
		login   *Login
		names   map[string]string
		refused bool
		unnamed bool
	}{
		{name: "good", login: login(302, good(), ""), names: joe},
		{name: "other status", login: login(200, good(), ""), names: joe, refused: true},
		{name: "back to the form", login: login(302, header("Location", "/login.php?e=1"), ""), names: joe, refused: true},
		{name: "back to the form in capitals", login: login(302, header("Location", "/LOGIN"), ""), names: joe, refused: true},
		{name: "back by dots", login: login(302, header("Location", "/x/../login.php"), ""), names: joe, refused: true},
		{name: "back to the whole address", login: login(302, header("Location", "https://a.test/login"), ""), names: joe, refused: true},
		{name: "to nowhere", login: login(302, header("Location", ""), ""), names: joe, refused: true},
		{name: "to another origin", login: login(302, header("Location", "https://b.test/home"), ""), names: joe, refused: true},
		{name: "to another scheme", login: login(302, header("Location", "http://a.test/home"), ""), names: joe, refused: true},
		{name: "relative", login: login(302, header("Location", "home"), ""), names: joe},
		{name: "says that it failed", login: login(302, good(), "Invalid password"), names: joe, refused: true},
		{name: "cut off", login: func() *Login { l := login(302, good(), "x"); l.Answer.Whole = false; return l }(), names: joe, refused: true},
		{name: "nobody by the probe", login: login(302, good(), ""), unnamed: true},
		{
			name: "nobody, whose word was to be the sign", login: login(302, good(), ""), refused: true,
			change: func(c *Config) { c.Success = nil },
		},
		{name: "cookie taken away, nobody", login: login(302, header("Set-Cookie", "SESS=; Max-Age=0"), ""), names: joe, unnamed: true},
		{
			name: "same cookie, nobody before", names: joe,
			login: func() *Login {
				l := login(302, header("Set-Cookie", ""), "")
				l.Cookies, l.BeforeKnown = "SESS=old", true
				return l
			}(),
		},
		{
			name: "same cookie, the same before", names: joe, refused: true,
			login: func() *Login {
				l := login(302, header("Set-Cookie", ""), "")
				l.Cookies, l.BeforeKnown, l.Before = "SESS=old", true, signin.Identity{Subject: "joe"}
				return l
			}(),
		},
		{
			name: "old value set again", names: joe, refused: true,
			login: func() *Login {
				l := login(302, header("Set-Cookie", "SESS=old"), "")
				l.Cookies, l.BeforeKnown, l.Before = "SESS=old", true, signin.Identity{Subject: "joe"}
				return l
			}(),
		},
		{name: "no identity, new cookie", change: func(c *Config) { c.Identity = nil }, login: login(302, good(), "")},
		{name: "no identity, no cookie", change: func(c *Config) { c.Identity = nil }, login: login(302, header("Set-Cookie", ""), ""), refused: true},
		{
			name: "header", login: login(302, header("X-User", "Joe"), ""),
			change: func(c *Config) { c.Identity = &Identity{Kind: "header", Name: "X-User"} },
		},
		{
			name: "header of a cookie that was there", refused: true,
			change: func(c *Config) { c.Identity = &Identity{Kind: "header", Name: "X-User"} },
			login: func() *Login {
				l := login(302, header("X-User", "Joe", "Set-Cookie", ""), "")
				l.Cookies = "SESS=old"
				return l
			}(),
		},
		{
			name: "two names in the body", unnamed: true, login: login(302, good(), "I am <b>Joe</b> I am <b>Ann</b>"),
			change: func(c *Config) { c.Identity = &Identity{Kind: "body", Pattern: "I am <b>(.+?)</b>"} },
		},
		{
			name: "success cookie and header", login: login(302, header("X-OK", "yes, sir"), ""), names: joe,
			change: func(c *Config) {
				c.Success = append(c.Success, Condition{Kind: "header", Name: "x-ok", Values: []string{"yes*"}}, Condition{Kind: "cookie", Name: "SESS"})
			},
		},
		{
			name: "success cookie missing", login: login(302, header("Set-Cookie", ""), ""), names: map[string]string{"": "Joe"}, refused: true,
			change: func(c *Config) { c.Success = append(c.Success, Condition{Kind: "cookie", Name: "SESS"}) },
		},
		{
			name: "wanted place by its query", login: login(302, header("Location", "/cmd.php?id=1&x"), ""), names: joe,
			change: func(c *Config) { c.Success = []Condition{{Kind: "location", Values: []string{"/cmd.php?id=*"}}} },
		},
		{
			name: "other query", login: login(302, header("Location", "/cmd.php?do=form"), ""), names: joe, refused: true,
			change: func(c *Config) { c.Success = []Condition{{Kind: "location", Values: []string{"/cmd.php?id=*"}}} },
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := compile(t, row.change)
			got, err := f.Judge(t.Context(), app(row.names), row.login)
			if row.refused != errors.Is(err, signin.ErrRefused) || row.unnamed != errors.Is(err, ErrUnnamed) || !row.refused && !row.unnamed && err != nil {
				t.Fatalf("%v, %v", got, err)
			}
			if err == nil && got.Identity.Username != "joe" && got.Identity.Username != "Joe" {
				t.Errorf("let in %+v", got.Identity)
			}
		})
	}
}

func TestJudgeTellsIssuedFromCarried(t *testing.T) {
	f := compile(t, func(c *Config) { c.SessionCookies = []string{"SESS", "ALSO"} })
	l := login(302, http.Header{"Location": {"/home"}, "Set-Cookie": {"SESS=new"}}, "")
	l.Cookies, l.BeforeKnown = "x=y; SESS=old; ALSO=1", true
	got, err := f.Judge(t.Context(), app(map[string]string{"SESS=new; ALSO=1": "Joe"}), l)
	if err != nil {
		t.Fatal(err)
	}
	want := Accepted{
		Identity: signin.Identity{Source: "form", Subject: "joe", Username: "Joe", ByName: true, MayCreate: true},
		Issued:   []weld.Cookie{{Name: "SESS", Value: "new"}}, Carried: []weld.Cookie{{Name: "ALSO", Value: "1"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBodiesAreReadThroughTheirEncoding(t *testing.T) {
	const text = "Invalid password"
	pack := func(open func(io.Writer) io.WriteCloser) string {
		var b bytes.Buffer
		w := open(&b)
		io.WriteString(w, text)
		w.Close()
		return b.String()
	}
	gz := pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	br := pack(func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
	zst := pack(func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	for _, row := range []struct{ encoding, body string }{
		{"", text}, {"identity", text}, {"gzip", gz}, {"x-gzip", gz},
		{"deflate", pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
		{"deflate", pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 5); return f })},
		{"br", br}, {"zstd", zst},
	} {
		a := &Answer{Header: http.Header{"Content-Encoding": {row.encoding}}, Body: []byte(row.body), Whole: true}
		if got, whole := a.text(); string(got) != text || !whole {
			t.Errorf("%s: %q, %v", row.encoding, got, whole)
		}
	}
	for _, row := range []struct{ encoding, body string }{
		{"dcb", "x"}, {"gzip", "x"}, {"gzip", gz[:len(gz)-9]}, {"br", "x"}, {"br", br[:len(br)-1]}, {"zstd", "x"}, {"zstd", zst[:len(zst)-5]},
	} {
		a := &Answer{Header: http.Header{"Content-Encoding": {row.encoding}}, Body: []byte(row.body), Whole: true}
		if got, whole := a.text(); whole {
			t.Errorf("%s: %q is taken for all", row.encoding, got)
		}
	}
	for encoding, open := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		var bomb bytes.Buffer
		w := open(&bomb)
		w.Write(make([]byte, 4*MaxBody))
		w.Close()
		a := &Answer{Header: http.Header{"Content-Encoding": {encoding}}, Body: bomb.Bytes(), Whole: true}
		if got, whole := a.text(); len(got) > MaxBody || whole {
			t.Errorf("%s: %d bytes came out", encoding, len(got))
		}
	}
}

func TestProbeTakesOnlyPlainAnswers(t *testing.T) {
	f := compile(t, nil)
	ask := func(status int, body string) Ask {
		return func(context.Context, string, string) (*Answer, error) {
			return &Answer{Status: status, Header: http.Header{}, Body: []byte(body), Whole: true}, nil
		}
	}
	for _, row := range []struct {
		status     int
		body, want string
	}{
		{200, "I am <b>Joe &amp; Co</b>", "Joe & Co"}, {200, "I am <b>joe</b>, I am <b>joe</b>", "joe"},
		{200, "I am <b>joe</b>, I am <b>ann</b>", ""}, {302, "I am <b>joe</b>", ""}, {200, "I am <b> </b>", ""}, {200, "", ""}, {200, "I am <b>a\x00b</b>", ""},
	} {
		who, err := f.Who(t.Context(), ask(row.status, row.body), "")
		if who.Username != row.want || (row.want == "") != errors.Is(err, ErrNobody) {
			t.Errorf("%d %q: %q, %v", row.status, row.body, who.Username, err)
		}
	}
	escaped := compile(t, func(c *Config) { c.Identity.Pattern = `dn=(?P<url>[^"]+)"` })
	if who, _ := escaped.Who(t.Context(), ask(200, `dn=uid%3Djoe%2Cdc%3Dtest"`), ""); who.Username != "uid=joe,dc=test" {
		t.Errorf("from a URL: %q", who.Username)
	}
}
