package legacyform

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	pt "github.com/stepgate/stepgate/policy/target"
)

func sample() Config {
	return Config{
		Submit:        []Target{{Method: "POST", Path: "/login.php?next=*"}, {Method: "POST", Path: "/index.php?lang=en", Form: []Field{{"do", "login"}}}},
		UsernameField: "user", PasswordField: "pass",
		Success:        []Condition{{Kind: "status", Values: []string{"302", "303"}}, {Kind: "location", Values: []string{"!/login*"}}},
		Failure:        []Condition{{Kind: "body", Values: []string{"Invalid password"}}},
		SessionCookies: []string{"SESS"},
		Identity:       &Identity{Kind: "probe", Name: "/me", Pattern: "I am <b>(.+?)</b>"},
		LoginPages:     []string{"/login.php?next=*&lang=en"},
		SignOut:        []Target{{Path: "/logout.php"}},
	}
}

func compile(t testing.TB, change func(*Config)) *Form {
	t.Helper()
	c := sample()
	if change != nil {
		change(&c)
	}
	f, err := New("form", c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func seen(t testing.TB, method, target, body string) *Seen {
	t.Helper()
	reader, err := pt.NewReader(pt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	readings, err := reader.Read(target)
	if err != nil {
		t.Fatal(err)
	}
	s := &Seen{Method: method, Target: &readings}
	if body != "" {
		s.Form = func() (string, []byte, bool) { return "application/x-www-form-urlencoded", []byte(body), true }
	}
	return s
}

func TestSightIsExact(t *testing.T) {
	f := compile(t, nil)
	const login = "user=joe&pass=x"
	for _, row := range []struct {
		method, target, body string
		want                 Sight
	}{
		{"POST", "/login.php", login, Submit},
		{"POST", "/login.php", "other=x", Submit}, // and then refused
		{"POST", "/login.php?next=/a%20b", login, Submit},
		{"POST", "/login.php?x=1", login, Stray},
		{"POST", "/login.php?next=a&x=1", login, Stray},
		{"POST", "/login.php?user=ann", login, Submit}, // and then refused
		{"POST", "/login.php?x=1&us%65r=ann", login, Submit},
		{"POST", "/login.php?user=ann", "pass=x", Submit},
		{"POST", "/login.php?user=ann", login + "&_method=DELETE", Stray},
		{"PUT", "/login.php?user=ann", login, Stray},
		{"POST", "/index.php?lang=en&user=ann", "do=login&" + login, Submit},
		{"POST", "/index.php?lang=en&user=ann", "do=admin&" + login, Stray},
		{"PUT", "/login.php", login, Stray},
		{"POST", "/LOGIN.php", login, Stray},
		{"POST", "/login.php/x", login, Stray},
		{"POST", "/login.php", login + "&_method=DELETE", Stray},
		{"POST", "/login.php", login + "&_method=post", Submit},
		{"POST", "/index.php?lang=en", "do=login&" + login, Submit},
		{"POST", "/index.php?l%61ng=en", "do=login&" + login, Submit},
		{"POST", "/index.php?lang=e%6e", "do=login&" + login, Submit},
		{"POST", "/index.php?lang=%2565n", "do=login&" + login, Stray},
		{"POST", "/index.php?lang=en&lang=de", "do=login&" + login, Stray},
		{"POST", "/index.php", "do=login&" + login, Stray},
		{"POST", "/index.php?lang=en", login, Stray},
		{"POST", "/index.php?lang=en", "do=login&do=admin&" + login, Stray},
		{"POST", "/index.php?lang=en", "do=admin", Elsewhere},
		{"GET", "/login.php?lang=en", "", LoginPage},
		{"HEAD", "/login.php?lang=en&next=/x", "", LoginPage},
		{"GET", "/login.php", "", Elsewhere},
		{"GET", "/login.php?lang=en", "a=b", Elsewhere},
		{"GET", "/login.php?lang=en&lang=de", "", Elsewhere},
		{"GET", "/logout.php", "", SignOut},
		{"POST", "/logout.php", "token=x", SignOut},
		{"DELETE", "/logout.php", "", Elsewhere},
		{"GET", "/logout.php?x", "", Elsewhere},
		{"GET", "/any?user=joe&pass=x", "", Stray},
		{"GET", "/any?user=joe", "", Elsewhere},
		{"GET", "/any?user=joe&p%61ss=x", "", Stray},
		{"POST", "/any?USER=joe", "Pass=x", Stray},
		{"POST", "/any", "user[]=joe&pass[x]=x", Stray},
		{"POST", "/any", "username=joe&password=x", Elsewhere},
		{"GET", "/any?100%", "", Elsewhere},
		{"GET", "/any?user=joe&%zz=x", "", Stray}, // what cannot be read may be it
	} {
		if got := f.Sight(seen(t, row.method, row.target, row.body)); got != row.want {
			t.Errorf("%s %s %s: %d, want %d", row.method, row.target, row.body, got, row.want)
		}
	}
	claimed := seen(t, "POST", "/login.php", login)
	if claimed.Claimed = true; f.Sight(claimed) != Stray {
		t.Error("a request that claims another method is a submit")
	}
	encoded := seen(t, "POST", "/any", "whatever")
	if encoded.Encoded = true; f.Sight(encoded) != Stray {
		t.Error("a form in a content encoding passes")
	}
	for _, row := range []struct {
		types []string
		want  Sight
	}{
		{[]string{"multipart/form-data; boundary=x", "application/x-www-form-urlencoded"}, Stray},
		{[]string{"text/plain", "application/x-www-form-urlencoded"}, Stray},
		{[]string{"", "text/plain"}, Stray},
		{[]string{"multipart/form-data; boundary=x, application/x-www-form-urlencoded"}, Stray},
		{[]string{`multipart/form-data; boundary="a,b"`}, Elsewhere},
		{[]string{"application/json", "application/json"}, Elsewhere},
		{[]string{"application/json, application/json"}, Elsewhere},
		{[]string{"application/x-www-form-urlencoded"}, Elsewhere},
	} {
		several := seen(t, "POST", "/any", "whatever")
		if several.Types = row.types; f.Sight(several) != row.want {
			t.Errorf("a body of the types %q is not %d", row.types, row.want)
		}
	}
}

func TestSubmissionNamesOnePersonInOneWay(t *testing.T) {
	f := compile(t, func(c *Config) { c.Submit = c.Submit[:1] })
	latin := compile(t, func(c *Config) { c.Charset = "iso-8859-1" })
	for _, row := range []struct {
		form       *Form
		body, want string
	}{
		{f, "user=joe&pass=x", "joe"},
		{f, "pass=x&user=j%6Fe+b", "joe b"},
		{f, "user=J%C3%B6rg", "Jörg"},
		{latin, "user=J%F6rg", "Jörg"},
		{f, "user=J%F6rg", ""},
		{f, "pass=x", ""},
		{f, "user=", ""},
		{f, "user", ""},
		{f, "user=a&user=b", ""},
		{f, "user=a&user=a", ""},
		{f, "user=a&USER=b", ""},
		{f, "USER=a", ""},
		{f, "user=a&user%20=b", ""},
		{f, "%75ser=a", "a"},
		{f, "user=a&%2575ser=b", ""},
		{f, "user=a&user[]=b", ""},
		{f, "user=a;user=b", ""},
		{f, "user=a?user=b", ""},
		{f, "user=a%00b", ""},
		{f, "user=a%0Ab", ""},
		{f, "user=%zz", ""},
	} {
		got, err := row.form.Submission(seen(t, "POST", "/login.php", row.body))
		if got.Username != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%s: %q, %v", row.body, got.Username, err)
		}
		if err != nil && !errors.Is(err, ErrSubmission) {
			t.Errorf("%s: %v", row.body, err)
		}
	}
	if _, err := f.Submission(seen(t, "POST", "/login.php?user=joe", "user=joe&pass=x")); !errors.Is(err, ErrSubmission) {
		t.Errorf("in body and query: %v", err)
	}
	cut := seen(t, "POST", "/login.php", "x")
	cut.Form = func() (string, []byte, bool) {
		return "application/x-www-form-urlencoded", []byte("user=joe&pass=x"), false
	}
	if _, err := f.Submission(cut); !errors.Is(err, ErrSubmission) {
		t.Errorf("a body that was not read to its end: %v", err)
	}
}

func TestLoginInTwoPagesIsRead(t *testing.T) {
	f := compile(t, nil)
	for body, want := range map[string]Submission{
		"user=joe&pass=x": {Username: "joe"}, "user=joe&go=1": {Username: "joe", First: true}, "pass=x": {}, "Pass=x&go=1": {},
	} {
		if got, err := f.Submission(seen(t, "POST", "/login.php", body)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{"go=1", "USER=a&pass=x", "user[]=a&pass=x", "user=a&user=b", "user=a&user=b&pass=x", "us%65r%zz=a&pass=x"} {
		if got, err := f.Submission(seen(t, "POST", "/login.php", body)); !errors.Is(err, ErrSubmission) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for name, change := range map[string]func(*Config){
		"one page":       func(c *Config) { c.Submit = c.Submit[:1] },
		"nobody's words": func(c *Config) { c.Identity = nil },
	} {
		if got, err := compile(t, change).Submission(seen(t, "POST", "/login.php", "pass=x")); !errors.Is(err, ErrSubmission) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestSubmissionReadsMultipart(t *testing.T) {
	f := compile(t, func(c *Config) { c.Submit = c.Submit[:1] })
	part := func(name, value string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for body, want := range map[string]string{
		part("user", "joe") + part("pass", "x"):                      "joe",
		part("user", "joe") + part("user", "ann"):                    "",
		part("user", "joe") + part("USER", "ann"):                    "",
		part("user", "joe") + part("user[]", "ann"):                  "",
		part("pass", "x"):                                            "",
		"preamble\r\n" + part("user", "joe"):                         "",
		strings.Replace(part("user", "joe"), `"user"`, `"us\er"`, 1): "",
	} {
		s := seen(t, "POST", "/login.php", "x")
		s.Form = func() (string, []byte, bool) {
			return "multipart/form-data; boundary=x", []byte(body + "--x--\r\n"), true
		}
		if got, err := f.Submission(s); got.Username != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", body, got.Username, err)
		}
	}
}

// FuzzSubmission holds that whoever reads the form finds the same name.
func FuzzSubmission(f *testing.F) {
	for _, body := range []string{"user=joe&pass=x", "user=a&user=b", "a=b;user=c", "%75ser=a&user", "user[]=x&user=y", "user=a+b%20c", "pass", "pass=x&us%65r"} {
		f.Add(body)
	}
	form := compile(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := form.Submission(seen(t, "POST", "/login.php", body))
		if err != nil {
			if got != (Submission{}) {
				t.Fatalf("%q: %v with %v", body, err, got)
			}
			return
		}
		want := 1
		if got.Username == "" { // the password's own page
			want = 0
		}
		for _, cut := range []string{"&", "&;", "&;?"} {
			found := 0
			for part := range strings.FieldsFuncSeq(body, func(r rune) bool { return strings.ContainsRune(cut, r) }) {
				raw, value, _ := strings.Cut(part, "=")
				name, err := url.QueryUnescape(raw)
				if err != nil || !strings.EqualFold(strings.TrimSpace(name), "user") {
					continue
				}
				found++
				if value, err := url.QueryUnescape(value); err != nil || value != got.Username {
					t.Fatalf("%q: a parser that cuts at %q finds %q, not %q", body, cut, value, got.Username)
				}
			}
			if found != want {
				t.Fatalf("%q: a parser that cuts at %q finds %d names", body, cut, found)
			}
		}
	})
}

func TestLongBodiesEndWhereBothFieldsAppear(t *testing.T) {
	f := compile(t, nil)
	pad := strings.Repeat("a=b&", 1000)
	part := func(name string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename*=UTF-8''y\r\n\r\nv\r\n"
	}
	const encoded, multi = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
	for _, row := range []struct {
		contentType, body string
		stops             bool
	}{
		{encoded, pad + "user=a&" + pad + "pass=b", true},
		{encoded, pad + "USER=a&" + pad + "p%61ss=b", true},
		{encoded, pad + "user=a;" + pad + "pass[]=b", true},
		{encoded, pad + "user=a&" + pad + "passx=b", false},
		{encoded, pad + "x=user=a%26pass=b&user=", false},
		{encoded, pad + strings.Repeat("z", maxFieldName+9) + "=1", true},
		{multi, part("user") + strings.Repeat(part("pad"), 100) + part("pass"), true},
		{multi, part("user") + strings.Repeat(part("pad"), 100), false},
		{multi, strings.Replace(part("user"), "name=", "name*=", 1), true},
		{"application/json", "user=a&pass=b", false},
	} {
		for _, size := range []int{1, 7, 4096} {
			read, err := io.ReadAll(&chunks{f.Watch(io.NopCloser(strings.NewReader(row.body)), row.contentType), size})
			if row.stops != errors.Is(err, ErrStray) || !row.stops && string(read) != row.body {
				t.Errorf("%s %.60q by %d: %v after %d of %d", row.contentType, row.body, size, err, len(read), len(row.body))
			}
			if row.stops && len(read) == len(row.body) {
				t.Errorf("%.60q: all of it passed", row.body)
			}
		}
	}
}

// chunks reads in small pieces.
type chunks struct {
	io.Reader
	size int
}

func (c *chunks) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.size)]) }

func TestNewSaysEverythingThatIsWrong(t *testing.T) {
	_, err := New("form", Config{
		Submit: []Target{{Method: "GET", Path: "/l"}, {Path: "login"}}, UsernameField: "u", PasswordField: "U", Charset: "klingon",
		Success:  []Condition{{Kind: "status", Values: []string{"ok"}}, {Kind: "location", Values: []string{"home"}}, {Kind: "body", Values: []string{"("}}},
		Identity: &Identity{Kind: "probe", Name: "/me", Pattern: "no group"}, SessionCookies: []string{"*"},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"passwords in addresses", "submit login: expected a path", "same field", "klingon", "ok: expected a status",
		"home: expected a path", "missing closing )", "expected one group", "session_cookie", "login_page"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %q in:\n%v", want, err)
		}
	}
	if _, err := New("form", Config{}); err == nil || !strings.Contains(err.Error(), "nothing tells a good login from a bad one") {
		t.Errorf("an empty configuration: %v", err)
	}
}

func TestLoginTargetLeavesOutWhatMayBeMissing(t *testing.T) {
	for page, want := range map[string]string{
		"/login": "/login", "/login?next=*": "/login", "/i.php?title=Special:Login&next=*": "/i.php?title=Special:Login",
	} {
		if got := compile(t, func(c *Config) { c.LoginPages = []string{page} }).LoginTarget(); got != want {
			t.Errorf("%s: %s", page, got)
		}
	}
}
