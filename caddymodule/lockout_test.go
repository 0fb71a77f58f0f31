package caddymodule

import (
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
)

// guessFromFiveAddresses is what strangers do to a name until nobody may try
// it any more.
func guessFromFiveAddresses(t *testing.T, owner, factor string) {
	t.Helper()
	shared := active.Load()
	for n := range 60 {
		try := throttle.Try{Account: owner, Factor: factor, Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(n / 9)})}
		shared.ledger.Spend(t.Context(), shared.plan.Charges(try)...) // the last are refused
	}
}

func TestStrangersCannotShutTheBrowserOutThatHasProvedASecondFactor(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	owner := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "Joe")).want(200, "/cases/1")
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	onlySignedIn := g.browser()
	onlySignedIn.signIn(onlySignedIn.get("/cases/1"), "joe").at("/challenge/totp")
	onlySignedIn.submit(onlySignedIn.get("/.stepgate/sign-out"), "csrf_token", nil)

	guessFromFiveAddresses(t, throttle.TypedName(account.FoldUsername("joe")), "password")
	for name, stranger := range map[string]*browser{"new": g.browser(), "signed in before": onlySignedIn} {
		if p := stranger.signIn(stranger.get("/cases/1"), "joe"); p.status != 429 {
			t.Errorf("a browser that is %s got %d", name, p.status)
		}
	}
	guessFromFiveAddresses(t, string(owner.ID), "totp")
	p := b.signIn(b.get("/cases/2"), " JOE").at("/challenge/totp")
	b.submit(p, "code", map[string]string{"code": b.code()}).want(200, "/cases/2")
}

func TestAKnownBrowserGetsItsOwnFewTries(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	p := b.get("/.stepgate/sign-in")
	for range 10 {
		p = b.submit(p, "username", map[string]string{"username": "joe", "password": "wrong"})
	}
	if p := b.signIn(b.get("/.stepgate/sign-in"), "joe"); p.status != 429 {
		t.Errorf("after ten wrong passwords a known browser got %d", p.status)
	}
}

func TestStrangersCannotShutTheBrowserOutOfTheAppsOwnLogin(t *testing.T) {
	g := startGateway(t, officeSite, &office{})
	b := g.browser()
	b.signInAtOffice("joe").want(200, "/home.php")
	b.enrol(b.get("/cases/1").atEnrolment()).want(200, "/cases/1")
	b.get("/logout.php")
	guessFromFiveAddresses(t, throttle.TypedName("joe"), "password")
	stranger := g.browser()
	stranger.get("/login.php")
	if p := stranger.atOffice("joe", officePasswords["joe"]); p.status != 429 {
		t.Errorf("a stranger got %d", p.status)
	}
	b.get("/login.php")
	b.atOffice("joe", officePasswords["joe"]).want(200, "/home.php")
}

func TestARotationOfKeysForgivesNoGuess(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	p := b.get("/.stepgate/sign-in")
	for range 10 {
		p = b.submit(p, "username", map[string]string{"username": "joe", "password": "wrong"})
	}
	if _, err := active.Load().ring.Rotate(filepath.Join(g.dir, "stepgate.key"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if p := b.signIn(b.get("/.stepgate/sign-in"), "joe"); p.status != 429 {
		t.Errorf("after a rotation the eleventh try got %d", p.status)
	}
}

func TestOfTwoSessionsAtOnceOneEnrolsAFirstFactor(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	owner := g.addUser("joe")
	const racers = 8
	start := make(chan struct{})
	var posting sync.WaitGroup
	for range racers {
		b := g.browser()
		p := b.choose(b.signIn(b.get("/cases/1"), "joe").atEnrolment(), "/enrol/totp")
		b.secret = p.marked("totp-secret")
		action, form := p.form("code")
		form.Set("code", b.code())
		posting.Go(func() {
			<-start
			b.do("POST", action, form)
		})
	}
	close(start)
	posting.Wait()
	apps := 0
	for _, c := range g.credentials(owner.ID) {
		if c.Factor == "totp" {
			apps++
		}
	}
	if apps != 1 {
		t.Errorf("%d first factors were enrolled", apps)
	}
}

func TestOfTwoSourcesWithOneUsernameASiteLetsOneIn(t *testing.T) {
	both := officeVariant("sign_in legacy_form {", "sign_in local\n\t\tsign_in legacy_form {")
	g := startGateway(t, both, &office{})
	g.addUser("mallory", ofSource("local"), func(n *people.NewAccount) { n.Password = account.Secret(password1) })
	atApp := g.browser()
	atApp.get("/login.php")
	if p := atApp.atOffice("mallory", officePasswords["mallory"]); p.status != 403 || atApp.signedIn() {
		t.Errorf("the app's mallory got %d beside a local account of that name", p.status)
	}

	// Names from before the two sources met at a site.
	ann := g.browser()
	ann.signInAtOffice("ann").want(200, "/home.php")
	err := active.Load().store.Update(t.Context(), func(tx store.Tx) error {
		id := account.NewID()
		return tx.InsertAccount(t.Context(), account.Account{ID: id, Source: "local", Subject: string(id), Username: "Ann", Role: account.RoleUser})
	})
	if err != nil {
		t.Fatal(err)
	}
	ann = g.browser()
	ann.get("/login.php")
	if p := ann.atOffice("ann", officePasswords["ann"]); p.status != 403 || ann.signedIn() {
		t.Errorf("the app's ann got %d beside a local account of that name", p.status)
	}
	joe := g.browser()
	joe.signInAtOffice("joe").want(200, "/home.php").wantBody(`as "joe"`)
	_, err = active.Load().people.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "JOE", Source: "local", Password: account.Secret(password1)})
	if !errors.Is(err, account.ErrTaken) {
		t.Errorf("a local account got the name of the app's joe: %v", err)
	}
}
