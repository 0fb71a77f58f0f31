package legacyform

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
)

// townHall is an app with a login form. What its people may change about
// themselves is not what they sign in with.
type townHall struct {
	display  map[string]string // by name
	profile  string            // a page's source; {name}, {display}
	action   string
	nonces   int
	requests []*http.Request
}

const townCookie = "TOWN_3c59dc048e8850243be8079a5c74d079"

var townPeople = map[string]string{"joe": "town-Pass1", "ann": "town-Pass2"}

func (h *townHall) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	h.requests = append(h.requests, r)
	h.nonces++
	who := ""
	if c, err := r.Cookie(townCookie); err == nil {
		who, _, _ = strings.Cut(c.Value, "-")
	}
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/login":
		if r.Method == http.MethodPost && r.PostForm.Get("pass") == townPeople[r.PostForm.Get("user")] && r.PostForm.Get("tenant") == "north" {
			http.SetCookie(w, &http.Cookie{Name: "TOWN_test", Value: "Cookies are on"})
			http.SetCookie(w, &http.Cookie{Name: townCookie, Value: fmt.Sprintf("%s-%032d", r.PostForm.Get("user"), h.nonces)})
			http.Redirect(w, r, "/?part=/&part=%2F", http.StatusFound)
			return
		}
		fmt.Fprintf(w, `<form method="post" action="%s"><select name="tenant"><option value="wrong">Choose<option value="north">North</select><input name="user"><input type="password" name="pass"></form>`, h.action)
	case "/", "/profile":
		if who == "" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		page := h.profile
		if r.URL.Path == "/" {
			page = `<p>Hello there, <b>{display}</b></p><a href="/profile">Profile</a> <a href="/logout?nonce={nonce}">Out</a>`
		}
		display := h.display[who]
		if display == "" {
			display = who
		}
		fmt.Fprint(w, strings.NewReplacer("{name}", html.EscapeString(who), "{display}", html.EscapeString(display), "{nonce}", fmt.Sprintf("%010x", h.nonces)).Replace(page))
	}
}

func (h *townHall) learn(t *testing.T, change ...func(*Learner)) (*Learned, string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	page, _ := url.Parse(server.URL + "/login")
	l := &Learner{Page: page, Person: townPerson("joe"), Fields: []Field{{"tenant", "north"}}, Transport: new(http.Transport)}
	for _, f := range change {
		f(l)
	}
	learned, err := l.Learn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := learned.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return learned, b.String()
}

func townPerson(name string) Person {
	return Person{Username: name, Password: account.Secret(townPeople[name])}
}

func TestLearnTakesNoNameThatPeopleCanChange(t *testing.T) {
	for _, row := range []struct{ name, profile, want string }{
		{"an editable field", `Your account: <i>{name}</i> <input name="shown" value="{display}">`, ""},
		{"an area", `Your account: <i>{name}</i> <textarea name="shown">{display}</textarea>`, ""},
		{"a choice", `Your account: <i>{name}</i> <select name="shown"><option>Anonymous<option selected>{display}</select>`, ""},
		{"a field that is disabled", `<input name="login" value="{name}" disabled> <input name="shown" value="{display}">`, `<input name="login" value="([^"]+)"[^>]*\sdisabled\b`},
		{"a field to read", `<input name="shown" value="{display}"><input name="login" readonly value="{name}">`, `<input name="login" readonly value="([^"]+)"`},
		{"a text", `Your account: <i>{name}</i> <input name="mail" value="joe@town.test">`, `Your account: <i>([^<]+)<`},
		{"a form", `Your account: <i>{name}</i> <form method="post"><input name="shown" value="{display}"></form>`, ""},
		{"a search", `Your account: <i>{name}</i> <form method="get"><input name="of" value="{name}"></form>`, `Your account: <i>([^<]+)<`},
		{"a choice of others", `Your account: <i>{name}</i> <select name="of"><option selected>All<option>{name}</select>`, `Your account: <i>([^<]+)<`},
	} {
		t.Run(row.name, func(t *testing.T) {
			learned, block := (&townHall{profile: row.profile}).learn(t)
			switch i := learned.Config.Identity; {
			case i == nil && row.want != "":
				t.Errorf("no identity:\n%s", block)
			case i != nil && (i.Pattern != row.want || i.Name != "/profile"):
				t.Errorf("identity %s %s", i.Name, i.Pattern)
			case i == nil && !strings.Contains(block, "the field shown on /profile offers the name for editing"):
				t.Errorf("it is not said why there is none:\n%s", block)
			}
		})
	}
}

func TestLearnAsksASecondAccount(t *testing.T) {
	// Nothing that joe sees tells his name to sign in from his display name.
	app := &townHall{profile: `Your account: <i>{display}</i>, known as <b>{name}</b>`, display: map[string]string{"ann": "Ann Other"}}
	alone, block := app.learn(t)
	if alone.Config.Identity == nil || !strings.Contains(alone.Config.Identity.Pattern, "account") || !strings.Contains(block, "--also-username") {
		t.Fatalf("the case is not what it was:\n%s", block)
	}
	both, block := app.learn(t, func(l *Learner) { l.Also = townPerson("ann") })
	if i := both.Config.Identity; i == nil || !strings.HasSuffix(i.Pattern, "<b>([^<]+)<") || !both.Works {
		t.Errorf("with a second account:\n%s", block)
	}
}

func TestLearnWritesWhatHoldsOfEveryLogin(t *testing.T) {
	learned, block := (&townHall{profile: `Your account: <i>{name}</i>`}).learn(t)
	for _, line := range []string{"\tsession_cookie TOWN_* !TOWN_test\n", "\tsign_out /logout?nonce=*\n", "\tidentity probe /profile "} {
		if !strings.Contains(block, line) {
			t.Errorf("no %q in\n%s", line, block)
		}
	}
	if !learned.Works {
		t.Error("it would not do")
	}
	above := ""
	for line := range strings.Lines(block) {
		if line = strings.TrimSpace(line); strings.Contains(line, " ") && !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, "{") && !strings.HasPrefix(above, "# ") {
			t.Errorf("%s: no reason", line)
		}
		above = line
	}
	// Home names the person: its address says everything once.
	_, block = (&townHall{profile: `nothing`}).learn(t)
	if !strings.Contains(block, "\tidentity probe /?part=/ ") {
		t.Errorf("the address is not tidy:\n%s", block)
	}
}

func TestLearnFillsInFurtherFields(t *testing.T) {
	app := &townHall{profile: `Your account: <i>{name}</i>`}
	if learned, block := app.learn(t, func(l *Learner) { l.Fields = nil }); learned.Works {
		t.Errorf("without its tenant:\n%s", block)
	}
	if sent := app.requests[1].PostForm; sent.Get("tenant") != "wrong" {
		t.Errorf("a choice goes as %q, not as browsers send it", sent.Get("tenant"))
	}
	if learned, block := app.learn(t); !learned.Works || strings.Contains(block, "north") {
		t.Errorf("with its tenant:\n%s", block)
	}
}

func TestLearnMeetsAnAppThatKnowsItselfByAnotherAddress(t *testing.T) {
	app := &townHall{profile: `Your account: <i>{name}</i>`, action: "https://town.test/login"}
	server := httptest.NewServer(app)
	defer server.Close()
	page, _ := url.Parse(server.URL + "/login")
	l := &Learner{Page: page, Person: townPerson("joe"), Fields: []Field{{"tenant", "north"}}, Transport: new(http.Transport)}
	if _, err := l.Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "--host https://town.test") {
		t.Errorf("it is not said what to do: %v", err)
	}
	l.Host = "https://town.test"
	learned, err := l.Learn(t.Context())
	if err != nil || !learned.Works {
		t.Fatalf("%v %+v", err, learned)
	}
	if r := app.requests[len(app.requests)-1]; r.Host != "town.test" || r.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("sent to %s by %s", r.Host, r.Header.Get("X-Forwarded-Proto"))
	}
	for _, host := range []string{"ftp://town.test", "town.test/login", "https://", "a b"} {
		l.Host = host
		if _, err := l.Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "--host") {
			t.Errorf("%q: %v", host, err)
		}
	}
}
