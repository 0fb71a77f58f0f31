package caddymodule

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// office is an old application with a login form of its own and most of the
// habits that such applications have.
type office struct {
	// keeps leaves the cookie at sign-in as it was before.
	keeps bool
	// turnsAway redirects after a bad password, too.
	turnsAway bool
	// hands gives out a cookie with a bad password, too.
	hands bool
	// shows answers a good password with the home page at once.
	shows   bool
	rotates bool // a new cookie with the next page
	// translates answers in French whom its headers or a cookie ask for it.
	translates bool
	// chatty writes the home page behind a redirect to it, hints sends its
	// cookie with Early Hints too, shares gives everybody the same one.
	chatty, hints bool
	shares        string
	// broken has a profile page that fails; line is the longest Cookie line
	// that the application's server takes, 0 for any.
	broken bool
	line   int
	begun  atomic.Pointer[func(*http.Request)]

	mu sync.Mutex
	// names are what it calls some people.
	names    map[string]string
	sessions map[string]string
}

const officeCookie = "OFFICESESS"

var officePasswords = map[string]string{"joe": "old-Pass1", "ann": "old-Pass2", "mallory": "old-Pass3"}

// tells has somebody told of every request before the application looks at it;
// nil tells nobody any more.
func (o *office) tells(begun func(*http.Request)) {
	if begun == nil {
		o.begun.Store(nil)
		return
	}
	o.begun.Store(&begun)
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if told := o.begun.Load(); told != nil {
		(*told)(r)
	}
	if o.line > 0 && len("Cookie: ")+len(r.Header.Get("Cookie")) > o.line {
		http.Error(w, "Request Header Or Cookie Too Large", http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sessions == nil {
		o.sessions = map[string]string{}
	}
	id := officeSession(r)
	who, known := o.sessions[id]
	if name, password, ok := r.BasicAuth(); ok && officePasswords[name] == password {
		who = name
	}
	r.ParseForm()
	switch path, _, _ := strings.Cut(r.URL.Path, ";"); path {
	case "/login.php":
		if r.Method != http.MethodPost {
			if !known {
				o.begin(w, "")
			}
			fmt.Fprint(w, `<form method="post" action="/login.php"><input name="user"><input type="password" name="pass"></form>`)
			return
		}
		o.login(w, r, id)
	case "/api/login":
		name := r.FormValue("name")
		switch {
		case name == "" || officePasswords[name] != r.FormValue("secret"):
		case o.keeps && known:
			o.sessions[id] = name
		default:
			o.begin(w, name)
		}
	case "/public/link":
		o.sessions[id] = r.URL.Query().Get("as")
		http.Redirect(w, r, "/home.php", http.StatusFound)
	case "/logout.php":
		delete(o.sessions, id)
		http.SetCookie(w, &http.Cookie{Name: officeCookie, Value: "deleted", Path: "/", MaxAge: -1})
		http.Redirect(w, r, "/login.php", http.StatusFound)
	case "/profile.php":
		switch {
		case o.broken:
			http.Error(w, "Out of order", http.StatusInternalServerError)
			return
		case who == "":
			fmt.Fprint(w, "Please sign in")
			return
		}
		text := "Signed in as <b>%s</b>"
		if lang, _ := r.Cookie("lang"); o.translates && (lang != nil && lang.Value == "fr" || strings.HasPrefix(r.Header.Get("Accept-Language"), "fr")) {
			text = "Bonjour <b>%s</b>"
		}
		fmt.Fprintf(w, text, html.EscapeString(cmp.Or(o.names[who], who)))
	default:
		if o.rotates && known {
			delete(o.sessions, id)
			o.begin(w, who)
		}
		if o.hints {
			w.Header().Add("Set-Cookie", officeCookie+"="+id)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Set-Cookie")
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "as %q at %s", who, r.URL.Path)
	}
}

func (o *office) login(w http.ResponseWriter, r *http.Request, id string) {
	// Like many, it takes the last of several fields, and trims names.
	all := r.PostForm["user"]
	if len(all) == 0 {
		all = []string{r.URL.Query().Get("user")}
	}
	name := strings.TrimSpace(all[len(all)-1])
	if password, ok := officePasswords[strings.ToLower(name)]; !ok || r.PostFormValue("pass") != password {
		if o.hands {
			o.begin(w, "")
		}
		if o.turnsAway {
			http.Redirect(w, r, "/login.php?error=1", http.StatusFound)
			return
		}
		fmt.Fprint(w, `Invalid password <form method="post" action="/login.php"><input name="user"><input type="password" name="pass"></form>`)
		return
	}
	if _, known := o.sessions[id]; o.keeps && known {
		o.sessions[id] = strings.ToLower(name)
	} else {
		o.begin(w, strings.ToLower(name))
	}
	if o.shows {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "welcome %s, here is everything", name)
		return
	}
	http.Redirect(w, r, "/home.php", http.StatusFound)
	if o.chatty {
		fmt.Fprintf(w, "welcome %s, here is everything", name)
	}
}

func (o *office) begin(w http.ResponseWriter, who string) {
	id := cmp.Or(o.shares, rand.Text())
	o.sessions[id] = who
	http.SetCookie(w, &http.Cookie{Name: officeCookie, Value: id, Path: "/", HttpOnly: true})
}

// officeSession finds the session id in the cookie, or where old servers look
// for it besides.
func officeSession(r *http.Request) string {
	if c, err := r.Cookie(officeCookie); err == nil {
		return c.Value
	}
	if m := regexp.MustCompile(`;officesess=(\w+)`).FindStringSubmatch(r.URL.Path); m != nil {
		return m[1]
	}
	return r.URL.Query().Get(officeCookie)
}

// direct signs in at the application itself, as somebody does who has a way
// round the gateway, and gives the cookie's value.
func (o *office) direct(t testing.TB, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/login.php", strings.NewReader(url.Values{"user": {name}, "pass": {officePasswords[name]}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	o.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.Name == officeCookie {
			return c.Value
		}
	}
	t.Fatal("the office let nobody in")
	return ""
}

const officeSite = `{{site}} {
	stepgate {
		enrolment self
		sign_in legacy_form {
			submit POST /login.php
			username_field user
			password_field pass
			success status 302 303
			success location !/login*
			failure body "Invalid password"
			session_cookie OFFICESESS
			identity probe /profile.php "Signed in as <b>(.+?)</b>"
			login_page /login.php
			sign_out /logout.php
		}
		policy {
			public /public/* /api/*
			require signed_in /
			require mfa /cases/*
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

// officeVariant changes lines of officeSite: old, new, old, new.
func officeVariant(changes ...string) string {
	return strings.NewReplacer(changes...).Replace(officeSite)
}

// atOffice answers the application's form.
func (b *browser) atOffice(name, password string, change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do("POST", "/login.php", url.Values{"user": {name}, "pass": {password}}, change...)
}

// signInAtOffice goes to the form and signs in.
func (b *browser) signInAtOffice(name string) *page {
	b.t.Helper()
	b.get("/login.php").want(200, "/login.php")
	return b.atOffice(name, officePasswords[name])
}

// cookie is the value of a cookie that the browser holds.
func (b *browser) cookie(name string) string {
	b.t.Helper()
	at, _ := url.Parse(b.base)
	for _, c := range b.jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// put gives the browser a cookie.
func (b *browser) put(name, value string) {
	b.t.Helper()
	at, _ := url.Parse(b.base)
	b.jar.SetCookies(at, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// still keeps the browser from following redirects.
func (b *browser) still() *browser {
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	copied := *b
	copied.client = &client
	return &copied
}

// signedIn asks the status page.
func (b *browser) signedIn() bool {
	b.t.Helper()
	return strings.Contains(b.get("/.stepgate/status", fetch).body, `"signed_in":true`)
}

// wantBody fails unless a page has a text.
func (p *page) wantBody(text string) *page {
	p.t.Helper()
	if !strings.Contains(p.body, text) {
		p.t.Fatalf("at %s (%d) no %q in:\n%s", p.url, p.status, text, p.body)
	}
	return p
}
