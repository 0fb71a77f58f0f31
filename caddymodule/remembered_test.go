package caddymodule

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/audit"
)

// rememberingSite is the recipe "remember this device for 30 days": a second
// factor only where something is unusual.
var rememberingSite = strings.NewReplacer("geoip atlas.mmdb", "risk {\nweight new_network 0\n}", "raise phishing_resistant when risk high\n", "").Replace(riskSite)

// comeBack signs in anew, as after the browser was closed, and tells what the
// app's front page needs then.
func (b *browser) comeBack(name string) string {
	b.t.Helper()
	b.leaveSession()
	b.signIn(b.get("/"), name)
	return needed(b)
}

// stolen is another browser with a copy of all cookies, at the same place.
func (g *rig) stolen(from *browser) *browser {
	g.t.Helper()
	b, _ := g.traveller(inCardiff)
	b.jar, _ = cookiejar.New(nil)
	b.jar.SetCookies(mustParse(g.url), from.jar.Cookies(mustParse(g.url)))
	b.client.Jar = b.jar
	return b
}

// remembered is a gateway with a browser that joe has proved a factor in.
func remembered(t *testing.T) (*rig, *browser) {
	t.Helper()
	g := startGateway(t, rememberingSite, nil)
	g.addUser("joe")
	b, _ := g.traveller(inCardiff)
	b.signIn(b.get("/"), "joe")
	if got := needed(b); got != someProof {
		t.Fatalf("an unknown browser needs %s", got)
	}
	b.enrol(b.get("/.stepgate/enrol/totp"))
	if got := b.comeBack("joe"); got != "none" {
		t.Fatalf("in a browser that was remembered: %s", got)
	}
	return g, b
}

func TestARememberedBrowserCanBeForgotten(t *testing.T) {
	g, b := remembered(t)
	other, _ := g.traveller(inCardiff)
	p := other.choose(other.signIn(other.get("/"), "joe"), "/challenge/totp")
	other.secret, other.used = b.secret, b.used
	other.submit(p, "code", map[string]string{"code": other.code()}).want(http.StatusOK, "/")
	account := b.get("/.stepgate/account").want(http.StatusOK, "")
	if n := strings.Count(account.body, `action="/.stepgate/account/browsers"`); n != 2 || !strings.Contains(account.body, "Firefox on Linux") {
		t.Fatalf("the page lists %d browsers:\n%s", n, account.body)
	}
	// The first is the one that was used last, which is the other.
	if p := b.submit(account, "browser", nil).at("/account"); !strings.Contains(p.body, "The browser was forgotten") {
		t.Errorf("it does not say so:\n%s", p.body)
	}
	if got := other.comeBack("joe"); got != someProof {
		t.Errorf("in the browser that was forgotten: %s", got)
	}
	if got := b.comeBack("joe"); got != "none" {
		t.Errorf("in the other: %s", got)
	}
	b.submit(b.get("/.stepgate/account"), "browser", nil)
	if got := b.comeBack("joe"); got != someProof {
		t.Errorf("in the last: %s", got)
	}
}

func TestACopiedCookieOfARememberedBrowserIsFound(t *testing.T) {
	g, b := remembered(t)
	thief := g.stolen(b)
	// Whoever has the password and the copy is not asked, until the browser
	// itself comes back.
	for range 2 {
		if got := thief.comeBack("joe"); got != "none" {
			t.Fatalf("the copy is not taken for the browser: %s", got)
		}
	}
	if got := b.comeBack("joe"); got != someProof {
		t.Errorf("the browser itself, with a value that was used: %s", got)
	}
	if got := thief.comeBack("joe"); got != someProof {
		t.Errorf("the copy, once there were two: %s", got)
	}
	g.mailed("may have been copied")
	records, err := active.Load().store.Events(t.Context(), audit.Query{Names: []audit.Name{audit.TokenReuse}, Limit: 10})
	if err != nil || len(records) != 1 {
		t.Errorf("events %+v, %v", records, err)
	}
}
