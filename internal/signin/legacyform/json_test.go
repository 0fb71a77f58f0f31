package legacyform

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/weld"
	pt "github.com/stepgate/stepgate/policy/target"
)

func jsonForm(t *testing.T, change func(*Config)) *Form {
	t.Helper()
	c := Config{
		Submit: []Target{{Method: "POST", Path: "/auth/token"}}, JSON: true, UsernameField: "/user/na~1me", PasswordField: "/user/pass",
		Success: []Condition{{Kind: "status", Values: []string{"200"}}}, LoginPages: []string{"/"},
	}
	if change != nil {
		change(&c)
	}
	f, err := New("app", c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func jsonSeen(t *testing.T, target, contentType, body string) *Seen {
	t.Helper()
	whole := func() (string, []byte, bool) { return contentType, []byte(body), true }
	form := func() (string, []byte, bool) {
		if !pt.MayBeForm(contentType) {
			return contentType, nil, true
		}
		return whole()
	}
	s := seen(t, "POST", target, "")
	s.Form, s.Body = form, whole
	return s
}

// RFC 6901 §5 has the document and what its pointers lead to.
func TestPointersLeadWhereTheStandardSays(t *testing.T) {
	document, err := readJSON([]byte(`{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"/foo/0": "bar", "/a~1b": "1", "/c%d": "2", "/e^f": "3", "/g|h": "4", `/i\j`: "5", `/k"l`: "6", "/ ": "7", "/m~0n": "8"} {
		p, err := compilePointer(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := p.in(document)
		if n, isNumber := got.(interface{ String() string }); isNumber {
			got = n.String()
		}
		if !ok || got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "username", "/a~", "/a~2", "#/a"} {
		if _, err := compilePointer(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	for _, text := range []string{"/foo/2", "/foo/00", "/foo/-", "/nothing", "/foo/0/x"} {
		p, _ := compilePointer(text)
		if got, ok := p.in(document); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestJSONSubmitNamesOnePersonInOneWay(t *testing.T) {
	f := jsonForm(t, nil)
	const good = `{"user":{"na/me":"jos\u00e9","pass":"x"},"n":1}`
	for _, kind := range []string{"application/json", "application/json; charset=UTF-8", "application/vnd.app+json"} {
		if got, err := f.Submission(jsonSeen(t, "/auth/token", kind, good)); err != nil || got.Username != "josé" {
			t.Errorf("%s: %v %v", kind, got, err)
		}
	}
	for name, row := range map[string][3]string{
		"no name":             {"/auth/token", "application/json", `{"user":{"pass":"x"}}`},
		"another place":       {"/auth/token", "application/json", `{"na/me":"joe","user":{}}`},
		"twice":               {"/auth/token", "application/json", `{"user":{"na/me":"joe","na/me":"ann"}}`},
		"twice, by case":      {"/auth/token", "application/json", `{"user":{"na/me":"joe","NA/ME":"ann"}}`},
		"twice, escaped":      {"/auth/token", "application/json", `{"user":{"na/me":"joe","n\u0061/me":"ann"}}`},
		"two users":           {"/auth/token", "application/json", `{"user":{"na/me":"joe"},"user":{"na/me":"ann"}}`},
		"a number":            {"/auth/token", "application/json", `{"user":{"na/me":1}}`},
		"half a pair":         {"/auth/token", "application/json", `{"user":{"na/me":"joe\ud800"}}`},
		"no UTF-8":            {"/auth/token", "application/json", "{\"user\":{\"na/me\":\"jo\xe9\"}}"},
		"something behind":    {"/auth/token", "application/json", good + good},
		"cut off":             {"/auth/token", "application/json", `{"user":{"na/me":"joe"}`},
		"a form":              {"/auth/token", "application/x-www-form-urlencoded", "na/me=joe"},
		"no kind":             {"/auth/token", "", good},
		"another charset":     {"/auth/token", "application/json; charset=utf-16", good},
		"in the query, too":   {"/auth/token?na%2Fme=ann", "application/json", good},
		"deeper than anybody": {"/auth/token", "application/json", `{"user":` + nested(200) + `}`},
	} {
		if got, err := f.Submission(jsonSeen(t, row[0], row[1], row[2])); !errors.Is(err, ErrSubmission) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func nested(depth int) (text string) {
	for range depth {
		text = "[" + text + "]"
	}
	return text
}

func TestJSONFieldsElsewhereAreStray(t *testing.T) {
	f := jsonForm(t, nil)
	for body, want := range map[string]Sight{
		`{"na/me":"joe","pass":"x"}`:                Stray,
		`[{"x":{"NA/ME":"joe"}},{"p\u0061ss":"x"}]`: Stray,
		`{"na/me":"joe"}`:                           Elsewhere,
		`{"text":"na/me and pass:"}`:                Elsewhere,
		`{"access_token":"x"}`:                      Stray,
		`{"na/me":"joe","pass":`:                    Stray,
	} {
		for _, kind := range []string{"application/json", "text/plain", "application/x-thing"} {
			if got := f.Sight(jsonSeen(t, "/api", kind, body)); got != want {
				t.Errorf("%s as %s: %v", body, kind, got)
			}
		}
	}
	if got := f.Sight(jsonSeen(t, "/api", "application/x-www-form-urlencoded", "access_token=x")); got != Stray {
		t.Errorf("a token in a form: %v", got)
	}
}

func TestTokensOfAnAnswer(t *testing.T) {
	const first, second = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "0123456789abcdef0123456789abcdef"
	answer := func(body string) *Answer {
		return &Answer{URL: new(url.URL), Status: 200, Header: http.Header{}, Body: []byte(body), Whole: true}
	}
	body := `{"refresh_token":"` + second + `","data":{"access":"` + first + `"},"token_type":"Bearer","user":"joe","hint":"invalid_credentials_given"}`
	bearer := func(values ...string) (all []weld.Cookie) {
		for _, v := range values {
			all = append(all, weld.Cookie{Name: weld.Bearer, Value: v})
		}
		return all
	}
	if diff := cmp.Diff(bearer(second, first), jsonForm(t, nil).tokens(answer(body))); diff != "" {
		t.Error(diff)
	}
	named := jsonForm(t, func(c *Config) { c.SessionToken = "/data/access" })
	if diff := cmp.Diff(bearer(first), named.tokens(answer(body))); diff != "" {
		t.Error(diff)
	}
	if got := named.tokens(answer(`{"data":{}}`)); got != nil {
		t.Errorf("%v", got)
	}
	if got := named.tokens(&Answer{URL: new(url.URL), Header: http.Header{}, Body: []byte(body)}); got != nil {
		t.Errorf("of half an answer: %v", got)
	}
}

func TestTokenIsTheSignOfALogin(t *testing.T) {
	f := jsonForm(t, func(c *Config) {
		c.Identity = &Identity{Kind: "probe", Name: "/me", Pattern: `"name":"([^"]+)"`}
	})
	ask := func(ctx context.Context, target, cookies string) (*Answer, error) {
		a := &Answer{URL: new(url.URL), Status: 401, Header: http.Header{}, Whole: true}
		if BearerOf(ctx) == "0123456789abcdef0123456789abcdef" {
			a.Status, a.Body = 200, []byte(`{"name":"joe"}`)
		}
		return a, nil
	}
	login := &Login{Submission: Submission{Username: "joe"}, Answer: &Answer{
		URL: new(url.URL), Status: 200, Header: http.Header{}, Body: []byte(`{"token":"0123456789abcdef0123456789abcdef"}`), Whole: true,
	}}
	got, err := f.Judge(t.Context(), ask, login)
	if err != nil || got.Subject != "joe" || len(got.Issued) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	login.Answer.Body = []byte(`{"token":"an0ther-token-that-nobody-knows"}`)
	if got, err := f.Judge(t.Context(), ask, login); err == nil {
		t.Errorf("%+v", got)
	}
}
