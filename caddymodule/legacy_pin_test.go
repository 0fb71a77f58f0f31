package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// calls lets the office call somebody by another name from now on.
func (o *office) calls(name, by string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names == nil {
		o.names = map[string]string{}
	}
	o.names[name] = by
}

func (b *browser) username() string {
	b.t.Helper()
	_, rest, _ := strings.Cut(b.get("/.stepgate/status", fetch).body, `"username":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func TestNameThatLedToOneAccountLeadsToNoOther(t *testing.T) {
	app := new(office)
	g := startGateway(t, officeSite, app)
	g.browser().signInAtOffice("joe").want(200, "/home.php")
	g.browser().signInAtOffice("mallory").want(200, "/home.php")
	for _, name := range []string{"joe", "JOE", "\uff4aoe", "nobody-yet"} {
		app.calls("mallory", name)
		b := g.browser()
		b.get("/login.php")
		before := b.cookie(officeCookie)
		p := b.atOffice("mallory", officePasswords["mallory"])
		if p.status != 403 || b.signedIn() || b.cookie(officeCookie) != before || p.marked("reference") == "" {
			t.Errorf("mallory, who calls herself %s, is %q (%d)", name, b.username(), p.status)
		}
	}
	conflicts, err := active.Load().store.Events(t.Context(), audit.Query{Names: []audit.Name{audit.NameConflict}, Limit: 10})
	if err != nil || len(conflicts) != 4 {
		t.Errorf("%d events, %v", len(conflicts), err)
	}

	// The operator says that all is well, once.
	app.calls("mallory", "mallory.jones")
	if err := active.Load().people.ConfirmName(t.Context(), people.Operator(), "", "Mallory", "married"); err != nil {
		t.Fatal(err)
	}
	b := g.browser()
	b.signInAtOffice("mallory").want(200, "/home.php")
	again := g.browser()
	again.signInAtOffice("mallory").want(200, "/home.php")
	if b.username() != "mallory.jones" || again.username() != "mallory.jones" {
		t.Errorf("she is %s, then %s", b.username(), again.username())
	}
	app.calls("mallory", "joe")
	c := g.browser()
	c.get("/login.php")
	if c.atOffice("mallory", officePasswords["mallory"]); c.signedIn() {
		t.Error("one confirmation serves twice")
	}
}

func TestFirstSignInWithAnothersNameIsNobodys(t *testing.T) {
	app := new(office)
	g := startGateway(t, officeSite, app)
	g.browser().signInAtOffice("joe").want(200, "/home.php")
	app.calls("mallory", "joe")
	b := g.browser()
	b.get("/login.php")
	if b.atOffice("mallory", officePasswords["mallory"]); b.signedIn() {
		t.Errorf("mallory is %s at her first sign-in", b.username())
	}
	// Spelled otherwise, joe is joe.
	c := g.browser()
	c.get("/login.php")
	c.atOffice(" Joe", officePasswords["joe"]).want(200, "/home.php")
}

func TestRenamedInMidSessionIsSomebodyElse(t *testing.T) {
	for _, name := range []string{"joe", "MALLORY"} {
		app := &office{keeps: true}
		g := startGateway(t, officeSite, app)
		b := enrolled(t, g, "mallory")
		app.calls("mallory", name)
		b.do("POST", "/home.php", nil)
		if b.signedIn() {
			t.Errorf("the app calls her %s, and she is %s", name, b.username())
		}
	}
}

func TestWithoutIdentityTheNameIsTheOneThatWasUsed(t *testing.T) {
	site := officeVariant(`identity probe /profile.php "Signed in as <b>(.+?)</b>"`, "")
	g := startGateway(t, site, &office{})
	g.addUser("joe", ofSource("legacy_form"))
	g.browser().signInAtOffice("joe").want(200, "/home.php")
	b := g.browser()
	b.get("/login.php")
	if p := b.atOffice("JOE", officePasswords["joe"]); p.status != 403 || b.signedIn() {
		t.Errorf("JOE of the app is joe (%d)", p.status)
	}
}

// An app that keeps its cookie and lets people take each other's names says
// nothing when it is asked who somebody is after a sign-in: the typed name does.
func TestSignInWithAnothersNameEndsTheSessionWhateverTheAppCallsThem(t *testing.T) {
	for name, password := range map[string]string{"accepted": officePasswords["mallory"], "refused": "wrong"} {
		app := &office{keeps: true}
		g := startGateway(t, officeSite, app)
		g.browser().signInAtOffice("mallory").want(200, "/home.php")
		b := enrolled(t, g, "ann")
		app.calls("mallory", "ann")
		b.atOffice("mallory", password)
		if p := b.get("/cases/1"); strings.Contains(p.body, "mallory") || b.signedIn() {
			t.Errorf("%s: ann's proofs open %s", name, p.body)
		}
	}
}

func TestNewSpellingOfANameBeginsWithoutProofs(t *testing.T) {
	g := startGateway(t, officeSite, new(office))
	b := enrolled(t, g, "ann")
	if p := b.atOffice("Ann", officePasswords["ann"]); p.status != 200 {
		t.Fatalf("%d at %s", p.status, p.url)
	}
	b.get("/cases/1").at("/challenge/totp")
}

// Two browsers sign in with one cookie at once, and the app keeps it: it is
// whose sign-in reached the app last, so that they reach it one after another.
func TestLoginsThatCarryOneCookieReachTheAppInTurn(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	mallory, ann := g.browser(), g.browser()
	mallory.get("/login.php")
	ann.put(officeCookie, mallory.cookie(officeCookie))
	began, other := make(chan bool, 10), make(chan *page, 1)
	var asked atomic.Int32
	app.tells(func(r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			began <- true
		case r.URL.Path == "/profile.php":
			// The app has answered mallory's login, which is not judged yet.
			if asked.Add(1) == 2 {
				go func() { other <- ann.still().atOffice("ann", officePasswords["ann"]) }()
				select {
				case <-began: // hers
				case <-time.After(5 * time.Second):
				}
				select {
				case <-began:
					t.Error("ann's login went to the app before mallory's was judged")
				case <-time.After(200 * time.Millisecond):
				}
			}
		}
	})
	mallory.still().atOffice("mallory", officePasswords["mallory"])
	<-other
	app.tells(nil)
	mallory.get("/home.php").wantBody(`as "mallory"`)
	ann.get("/home.php").wantBody(`as "ann"`)
}

func TestValueMadeOfANobodysCookieIsNotTheSessions(t *testing.T) {
	app := &office{rotates: true}
	g := startGateway(t, officeSite, app)
	g.browser().signInAtOffice("mallory").want(200, "/home.php")
	b := enrolled(t, g, "ann")
	b.put(officeCookie, app.direct(t, "mallory")) // which the gateway has not seen
	app.calls("mallory", "ann")
	b.get("/public/x").want(200, "/public/x").wantBody(`as "mallory"`)
	if p := b.get("/cases/1"); strings.Contains(p.body, "mallory") {
		t.Errorf("ann's proofs open %s", p.body)
	}
}

// A sign-in that nobody watches is still under way with a value that is
// nobody's yet: no login binds that value meanwhile, nor after a request that
// the app may still act on.
func TestNoLoginBindsAValueThatSomebodyMaySignInWith(t *testing.T) {
	for _, breaks := range []bool{false, true} {
		app := &office{keeps: true}
		g := startGateway(t, officeSite, app)
		b := g.browser()
		b.get("/login.php")
		planted := b.cookie(officeCookie)
		began, on, other := make(chan string, 10), make(chan bool), make(chan bool)
		app.tells(func(r *http.Request) {
			if r.Method != http.MethodPost {
				return
			}
			began <- r.URL.Path
			if r.URL.Path == "/api/login" {
				<-on
				if breaks {
					panic(http.ErrAbortHandler)
				}
			}
		})
		go func() {
			defer close(other)
			r, _ := http.NewRequestWithContext(t.Context(), "POST", g.url+"/api/login", strings.NewReader("name=ann&secret="+officePasswords["ann"]))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Cookie", officeCookie+"="+planted)
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		<-began
		done := make(chan bool)
		go func() { b.still().atOffice("mallory", officePasswords["mallory"]); close(done) }()
		select {
		case path := <-began:
			t.Errorf("%s went to the app meanwhile", path)
		case <-time.After(200 * time.Millisecond):
		}
		close(on)
		<-other
		<-done
		app.tells(nil)
		b.get("/home.php").wantBody(`as "mallory"`)
		if changed := b.cookie(officeCookie) != planted; changed != breaks {
			t.Errorf("broke off %v: the value is another one: %v", breaks, changed)
		}
	}
}

func TestChangeWithoutAnAnswerEndsTheSession(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	b := enrolled(t, g, "mallory")
	app.tells(func(r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	})
	b.do("POST", "/cases/1", nil)
	app.tells(nil)
	if b.signedIn() {
		t.Error("the session outlives a request that the app may act on still")
	}
}

func TestOwnValueInAnAddressIsAskedAboutToo(t *testing.T) {
	app := &office{keeps: true}
	g := startGateway(t, officeSite, app)
	b := enrolled(t, g, "mallory")
	own := b.cookie(officeCookie)
	b.do("POST", "/api/login?"+officeCookie+"="+own, url.Values{"name": {"ann"}, "secret": {officePasswords["ann"]}}, b.cookieLine(g, "a=b"))
	if p := b.get("/cases/1"); strings.Contains(p.body, "ann") || b.signedIn() {
		t.Errorf("mallory's proofs open %s", p.body)
	}
}
