package caddymodule

import (
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// counter is an application that asks for the name on one page and for the
// password on the next, and keeps the name by its cookie in between.
type counter struct {
	keeps bool // the cookie, at sign-in

	mu       sync.Mutex
	sessions map[string]*visit
}

type visit struct{ typed, who string }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil {
		c.sessions = map[string]*visit{}
	}
	var s *visit
	if cookie, err := r.Cookie(officeCookie); err == nil {
		s = c.sessions[cookie.Value]
	}
	begin := func(v visit) {
		id := rand.Text()
		s = &v
		c.sessions[id] = s
		http.SetCookie(w, &http.Cookie{Name: officeCookie, Value: id, Path: "/"})
	}
	if s == nil {
		begin(visit{})
	}
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/login":
		fmt.Fprint(w, `<form method="post" action="/login/name"><input name="user"></form>`)
	case "/login/name":
		s.typed = r.PostFormValue("user")
		http.Redirect(w, r, "/login/password", http.StatusSeeOther)
	case "/login/password":
		password, known := officePasswords[s.typed]
		switch {
		case r.Method == http.MethodGet:
			fmt.Fprintf(w, `%s <form method="post" action="/login/password"><input type="password" name="pass"></form>`, html.EscapeString(s.typed))
		case !known || r.PostFormValue("pass") != password:
			fmt.Fprint(w, "Invalid password")
		case c.keeps:
			s.who = s.typed
			http.Redirect(w, r, "/home", http.StatusSeeOther)
		default:
			begin(visit{who: s.typed})
			http.Redirect(w, r, "/home", http.StatusSeeOther)
		}
	case "/profile.php":
		if s.who != "" {
			fmt.Fprintf(w, "Signed in as <b>%s</b>", s.who)
		}
	default:
		fmt.Fprintf(w, "as %q at %s", s.who, r.URL.Path)
	}
}

var counterSite = officeVariant("submit POST /login.php", "submit POST /login/name\n\t\t\tsubmit POST /login/password",
	"login_page /login.php", "login_page /login\n\t\t\tlogin_page /login/password")

func (b *browser) types(name, value string) *page {
	return b.do("POST", map[string]string{"user": "/login/name", "pass": "/login/password"}[name], url.Values{name: {value}})
}

func TestLoginInTwoPages(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		t.Run(fmt.Sprintf("keeps %v", keeps), func(t *testing.T) {
			app := &counter{keeps: keeps}
			g := startGateway(t, counterSite, app)
			b := g.browser()
			b.get("/home?x=1").want(200, "/login")
			b.types("user", "joe").want(200, "/login/password").wantBody("joe")
			if p := b.types("pass", "wrong"); b.signedIn() || !strings.Contains(p.body, "Invalid password") {
				t.Fatalf("a wrong password: %d %s", p.status, p.body)
			}
			b.types("pass", officePasswords["joe"]).want(200, "/home?x=1").wantBody(`as "joe"`)
			if b.username() != "joe" {
				t.Fatalf("joe is %q", b.username())
			}
			b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1").wantBody(`as "joe"`)

			// Her name in his session ends it at the first page, and her
			// password brings none of his proofs.
			b.types("user", "ann")
			if b.signedIn() {
				t.Error("joe's session outlives ann's name")
			}
			b.get("/login")
			b.types("user", "ann").want(200, "/login/password")
			b.types("pass", officePasswords["ann"])
			if b.username() != "ann" {
				t.Errorf("ann is %q", b.username())
			}
			b.get("/cases/1").atEnrolment()
		})
	}
}

func TestPasswordPageWithoutItsNameIsRefused(t *testing.T) {
	app := &counter{keeps: true}
	g := startGateway(t, counterSite, app)
	b := g.browser()
	b.get("/login")
	if p := b.types("pass", officePasswords["joe"]); p.status != 400 || p.marked("reference") == "" || !strings.Contains(p.body, "begin again") {
		t.Errorf("%d %.500s", p.status, p.body)
	}
	// The name belongs to the cookie, and the last one counts.
	b.types("user", "mallory").want(200, "/login/password")
	b.types("user", "ann").want(200, "/login/password")
	b.types("pass", officePasswords["ann"])
	if b.username() != "ann" {
		t.Errorf("ann is %q", b.username())
	}
	other := g.browser()
	other.get("/login")
	if p := other.types("pass", officePasswords["ann"]); p.status != 400 || other.signedIn() {
		t.Errorf("in another browser: %d", p.status)
	}
}
