package caddymodule

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy/risk"
)

// wasAt makes an account one that was at some places before, each so long ago.
// What lies ahead is a clock that has gone back since.
func (g *rig) wasAt(owner account.ID, before map[string]time.Duration) {
	g.t.Helper()
	app := active.Load()
	err := app.store.KeepVisits(g.t.Context(), owner, func(kept account.Secret) (account.Secret, error) {
		m, err := recall(kept)
		if err != nil {
			return nil, err
		}
		m.Visits = nil
		for address, ago := range before {
			at := netip.MustParseAddr(address)
			place := riskApp(g).place(at)
			m.Visits = append(m.Visits, risk.Visit{At: time.Now().UTC().Add(-ago), Network: risk.Network(at, place), Place: place})
		}
		return m.sealed()
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// riskApp is an app that knows the places of the atlas.
func riskApp(g *rig) *App {
	g.t.Helper()
	app := &App{GeoIP: filepath.Join(g.dir, "atlas.mmdb")}
	if err := app.openGeoIP(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { app.countries.Load().Close() })
	return app
}

// travelled is a gateway that knows places, and a browser in which joe has
// proved a factor.
func travelled(t *testing.T, site string) (*rig, account.Account, *browser, *from) {
	t.Helper()
	g := startGateway(t, strings.ReplaceAll(site, "geoip atlas.mmdb", ""), nil)
	file := filepath.Join(g.dir, "atlas.mmdb")
	atlasOf(t, file, atlas)
	g.load(strings.ReplaceAll(site, "geoip atlas.mmdb", "geoip "+file+"\ninternal_networks 195.1.0.0/16"))
	joe := g.addUser("joe")
	b, at := g.traveller(inCardiff)
	b.signIn(b.get("/"), "joe")
	b.enrol(b.get("/.stepgate/enrol/totp"))
	return g, joe, b, at
}

// TestSituationsLeadToTheirLevels is the table of docs/devices.md through the
// handler: what a known browser, or another, needs at its next visit.
func TestSituationsLeadToTheirLevels(t *testing.T) {
	g, joe, b, at := travelled(t, riskSite)
	usual := map[string]time.Duration{inCardiff: time.Hour}
	fail := func() {
		for range 3 {
			b.submit(b.get("/"), "username", map[string]string{"username": "joe", "password": "wrong"})
		}
	}
	for _, c := range []struct {
		what    string
		before  map[string]time.Duration
		address string
		also    func()
		want    string
	}{
		{"where they were", usual, inCardiff, nil, "none"},
		{"the phone goes from one network to another in one town", usual, inNewport, nil, "none"},
		{"a carrier lets its customer out in another town", map[string]time.Duration{inLondon: time.Minute}, inLeeds, nil, "none"},
		{"from the line at home to the carrier, two hours away", map[string]time.Duration{atHome: 2 * time.Hour}, inLeeds, nil, "none"},
		{"a privacy address of the same line", map[string]time.Duration{atHome: time.Minute}, atHomeToo, nil, "none"},
		{"a clock that went back, in one town", map[string]time.Duration{inCardiff: -9 * time.Hour}, inNewport, nil, "none"},
		{"a clock that went back, far away", map[string]time.Duration{inCardiff: -9 * time.Hour}, inSydney, nil, aKey},
		{"a clock that went forward, not so far away", map[string]time.Duration{inCardiff: 500 * time.Hour}, inLeeds, nil, "none"},
		{"on holiday, two days later", map[string]time.Duration{inCardiff: 48 * time.Hour}, inSydney, nil, someProof},
		{"on the other side of the earth, at once", usual, inSydney, nil, aKey},
		{"back in a country that they come to often", map[string]time.Duration{inCardiff: 48 * time.Hour, inSydney: 1000 * time.Hour}, inSydney, nil, "none"},
		{"in the office, for the first time", usual, atOffice, nil, "none"},
		{"behind an anonymising network", usual, hiddenAt, nil, someProof},
		{"an address that the database does not know", usual, nowhere, nil, aKey},
		{"after a long time", map[string]time.Duration{inCardiff: 100 * 24 * time.Hour}, inCardiff, nil, "none"},
		{"after a long time, from another country", map[string]time.Duration{inCardiff: 100 * 24 * time.Hour}, inSydney, nil, someProof},
		{"after three failures", usual, inCardiff, fail, "none"},
		{"after three failures, from another network", usual, inNewport, fail, someProof},
	} {
		g.wasAt(joe.ID, c.before)
		at.address = c.address
		b.leaveSession()
		if c.also != nil {
			c.also()
		}
		b.signIn(b.get("/"), "joe")
		if got := needed(b); got != c.want {
			t.Errorf("%s: needs %s, want %s", c.what, got, c.want)
		}
	}

	t.Run("what cannot be read counts", func(t *testing.T) {
		garbage := func(account.Secret) (account.Secret, error) { return account.Secret("}"), nil }
		if err := active.Load().store.KeepVisits(t.Context(), joe.ID, garbage); err != nil {
			t.Fatal(err)
		}
		at.address = inCardiff
		if got := b.comeBack("joe"); got != aKey {
			t.Errorf("needs %s", got)
		}
	})
	t.Run("a password that was reset", func(t *testing.T) {
		if _, err := active.Load().people.SetPassword(t.Context(), people.Operator(), people.Who{ID: joe.ID}, account.Secret(password1), ""); err != nil {
			t.Fatal(err)
		}
		g.wasAt(joe.ID, usual)
		if got := b.comeBack("joe"); got != someProof {
			t.Errorf("where they were: needs %s", got)
		}
		g.wasAt(joe.ID, usual)
		at.address = inNewport
		if got := b.comeBack("joe"); got != aKey {
			t.Errorf("in another network: needs %s", got)
		}
	})
}

// TestRiskIsToldOfBeforeItIsAsked writes the raises into report_only: nobody is
// asked, and the trail says who would have been.
func TestRiskIsToldOfBeforeItIsAsked(t *testing.T) {
	raises := "raise mfa when risk medium\n\t\t\traise phishing_resistant when risk high\n"
	site := strings.Replace(riskSite, raises+"\t\t}", "}\npolicy report_only {\ndefault signed_in\n"+raises+"}", 1)
	if site == riskSite {
		t.Fatal("the site has other raises")
	}
	g, joe, b, at := travelled(t, site)
	g.wasAt(joe.ID, map[string]time.Duration{inCardiff: 48 * time.Hour})
	since := time.Now()
	for _, where := range []string{inCardiff, inSydney} {
		at.address = where
		b.leaveSession()
		b.signIn(b.get("/"), "joe").want(http.StatusOK, "/")
		if got := needed(b); got != "none" {
			t.Errorf("at %s somebody is asked for %s", where, got)
		}
	}
	told := map[string]string{}
	waitFor(t, func() bool {
		records, err := active.Load().store.Events(t.Context(), audit.Query{Names: []audit.Name{audit.PolicyDecision}, Since: since, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if levels := strings.Join(r.Event.Levels, " "); levels != "signed_in" {
				told[r.Event.Address] = r.Event.Outcome + " " + levels
			}
		}
		return told[inSydney] != ""
	})
	if told[inCardiff] != "" || told[inSydney] != "report-only step-up mfa phishing_resistant" {
		t.Errorf("the trail has %v", told)
	}
}
