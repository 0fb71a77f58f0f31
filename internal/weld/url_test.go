package weld

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestURLsAreSearchedInEverySpelling(t *testing.T) {
	w, _ := newWeld(t)
	for target, want := range map[string][]Cookie{
		"/a":                    nil,
		"/a;x=y?b=c":            nil,
		"/a;sess=v":             {{"sess", "v"}},
		"/a;sess=v/b;SESS=w":    {{"sess", "v"}, {"sess", "w"}},
		"/a;x=1;sess=v;y=2/b":   {{"sess", "v"}},
		"/a?SESS=v":             {{"sess", "v"}},
		"/a?x=1&SE%53S=v":       {{"sess", "v"}},
		"/a?x=1;sess=v":         {{"sess", "v"}},
		"/a?x?sess=v":           {{"sess", "v"}},
		"/a?sess=":              nil,
		"/a?+sess=v":            {{"sess", "v"}},
		"/a?sess%00%=v":         {{"sess", "v"}},
		"/a?sess%00;=v":         {{"sess", "v"}},
		"/a?x=1&%73ess%00%zz=v": {{"sess", "v"}},
	} {
		path, query, _ := strings.Cut(target, "?")
		got := w.Names.InURL(path, query)
		slices.SortStableFunc(got, func(a, b Cookie) int { return 0 })
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	for _, path := range []string{"/a%3Bsess=v", "/a%253Bsess%253Dv", "/a%3bse%73s=v"} {
		if len(w.Names.InURL(path, "")) == 0 {
			t.Errorf("%s: nothing found", path)
		}
	}
}

func TestTokensAreJudgedAsCookiesAre(t *testing.T) {
	w, _ := newWeld(t)
	mine := w.bindFor(t, "mine", Cookie{Bearer, "m1"})
	w.bindFor(t, "other", Cookie{Bearer, "o1"})
	for _, row := range []struct {
		token                    string
		private, public, foreign bool
	}{{"m1", true, true, false}, {"o1", false, false, true}, {"n1", false, true, false}} {
		private, foreign := w.Token(t.Context(), row.token, "mine", mine, false)
		public, _ := w.Token(t.Context(), row.token, "mine", mine, true)
		if private != row.private || public != row.public || foreign != row.foreign {
			t.Errorf("%s: %v %v %v", row.token, private, public, foreign)
		}
	}
	if pass, _ := w.Token(t.Context(), "m1", "", nil, true); pass {
		t.Error("it passes without its session")
	}
	for line, want := range map[string]string{"Bearer abc": "abc", "bearer  abc=": "abc=", "Basic abc": "", "Bearer a b": "", "Bearer a,b": "", "Bearer": "", "xBearer a": ""} {
		if got, _ := BearerToken(http.Header{"Authorization": {line}}); got != want {
			t.Errorf("%s: %q", line, got)
		}
	}
	if _, ok := BearerToken(http.Header{"Authorization": {"Bearer a", "Bearer a"}}); ok {
		t.Error("two headers have one token")
	}
}

func TestAllowedInURLs(t *testing.T) {
	w, _ := newWeld(t)
	mine := w.bindFor(t, "mine", Cookie{"SESS", "m1"})
	w.bindFor(t, "other", Cookie{"SESS", "o1"})
	for _, row := range []struct {
		value           string
		private, public bool
	}{{"m1", true, true}, {"o1", false, false}, {"%6f1", false, false}, {"n1", false, true}} {
		found := []Cookie{{"sess", row.value}}
		if got := w.Allowed(t.Context(), found, "mine", mine, false); got != row.private {
			t.Errorf("%s on a private path: %v", row.value, got)
		}
		if got := w.Allowed(t.Context(), found, "mine", mine, true); got != row.public {
			t.Errorf("%s on a public path: %v", row.value, got)
		}
	}
}

func TestIssuedAndGoneCookies(t *testing.T) {
	w, _ := newWeld(t)
	h := http.Header{"Set-Cookie": {
		"SESS=a; Path=/; HttpOnly", "DWx = b ", "other=c", "SESS=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0",
		"SESS=old; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "SESS=; Path=/", "DWy=d; Max-Age=3600; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "junk",
	}}
	want := []Cookie{{"SESS", "a"}, {"DWx", "b"}, {"DWy", "d"}}
	if diff := cmp.Diff(want, w.Names.Issued(h, noon)); diff != "" {
		t.Error(diff)
	}
	if got := After("SESS=0; keep=1; DWx=0", http.Header{"Set-Cookie": {"SESS=1", "DWx=; Max-Age=0", "new=2"}}, noon); got != "SESS=1; keep=1; new=2" {
		t.Errorf("the browser's line is %q", got)
	}
}
