package caddymodule

import (
	"net/http"
	"testing"
)

const localSite = `{{site}} {
	stepgate {
		enrolment self
		policy {
			require mfa /cases/*
			default signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

// followed gets a page and bounds how often it is sent on.
func (b *browser) followed(target string) *page {
	b.t.Helper()
	hops := 0
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		if hops++; hops > 5 {
			b.t.Fatalf("%s: sent on and on", target)
		}
		return nil
	}
	defer func() { b.client.CheckRedirect = nil }()
	return b.get(target)
}

// TestSessionOfASourceThatIsGoneSignsInAgain reloads a site with another
// source of people: who signed in by the first is nobody, at the gate and on
// its own pages alike.
func TestSessionOfASourceThatIsGoneSignsInAgain(t *testing.T) {
	t.Run("the app's form", func(t *testing.T) {
		g := startGateway(t, officeSite, &office{})
		b := g.browser()
		b.signInAtOffice("ann").want(200, "/home.php")
		g.load(localSite)
		g.addUser("joe")
		for _, target := range []string{"/home.php", "/cases/1", "/.stepgate/challenge", "/.stepgate/sign-in"} {
			b.followed(target).want(200, "").at("/sign-in")
		}
		if b.signedIn() {
			t.Error("signed in by a source that is gone")
		}
		b.signIn(b.followed("/home.php"), "joe").want(200, "/home.php")
		if got := b.username(); got != "joe" {
			t.Errorf("signed in as %q", got)
		}
	})
	t.Run("our own", func(t *testing.T) {
		g := startGateway(t, localSite, &office{})
		g.addUser("joe")
		b := g.browser()
		b.signIn(b.get("/home.php").at("/sign-in"), "joe").want(200, "/home.php")
		g.load(officeSite)
		for _, target := range []string{"/home.php", "/cases/1", "/.stepgate/challenge", "/.stepgate/sign-in"} {
			b.followed(target).want(200, "/login.php")
		}
		b.atOffice("ann", officePasswords["ann"])
		if got := b.username(); got != "ann" {
			t.Errorf("signed in as %q", got)
		}
	})
}
