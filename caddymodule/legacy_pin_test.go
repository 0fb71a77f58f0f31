package caddymodule

import (
	"strings"
	"testing"

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
