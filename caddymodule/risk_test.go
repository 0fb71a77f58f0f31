package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const (
	inCardiff = "81.2.69.7"
	inNewport = "81.2.70.7"
	inSydney  = "200.1.2.3"
	hiddenAt  = "45.1.1.1"
	nowhere   = "99.1.1.1"
	inLeeds   = "90.1.1.7" // by a carrier whose customers come out anywhere
	inLondon  = "90.1.2.7"
	atHome    = "2001:db8:1:2:aaaa::1" // of a line that changes its lower half every day
	atHomeToo = "2001:db8:1:7:bbbb::9"
	atOffice  = "195.1.7.7"
)

var atlas = map[string]spot{
	"81.2.69.0/24": {"GB", 51.48, -3.18, 64500, false},
	"81.2.70.0/24": {"GB", 51.58, -2.99, 64501, false},
	"200.1.2.0/24": {"AU", -33.87, 151.21, 64502, false},
	"45.0.0.0/8":   {"GB", 51.48, -3.18, 64503, true},
	"90.1.1.0/24":  {"GB", 53.80, -1.55, 64504, false},
	"90.1.2.0/24":  {"GB", 51.51, -0.13, 64504, false},

	"2001:db8:1::/48": {"GB", 51.48, -3.18, 0, false},
}

const riskSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	servers {
		trusted_proxies static private_ranges
		trusted_proxies_strict
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		email file mails.jsonl
		geoip atlas.mmdb
	}
}
{{site}} {
	stepgate {
		policy {
			default signed_in
			raise mfa when risk medium
			raise phishing_resistant when risk high
		}
	}
	reverse_proxy {{upstream}}
}
`

// from is a way to the gateway by which everything comes from one place.
type from struct{ address, agent string }

func (f *from) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-For", f.address)
	r.Header.Set("User-Agent", f.agent)
	return http.DefaultTransport.RoundTrip(r)
}

// traveller is a browser that is somewhere.
func (g *rig) traveller(address string) (*browser, *from) {
	g.t.Helper()
	b, at := g.browser(), &from{address, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
	b.client.Transport = at
	return b, at
}

// needed are the levels that the app's front page needs of a script; "none"
// where it is let through.
func needed(b *browser) string {
	b.t.Helper()
	p := b.get("/", fetch)
	if p.status == http.StatusOK {
		return "none"
	}
	var problem struct{ Levels []string }
	if err := json.Unmarshal([]byte(p.body), &problem); err != nil {
		b.t.Fatalf("%d %s", p.status, p.body)
	}
	slices.Sort(problem.Levels)
	return strings.Join(problem.Levels, " ")
}

// leaveSession loses the session's cookie and keeps the others, as a browser
// does that is closed.
func (b *browser) leaveSession() {
	b.t.Helper()
	at := mustParse(b.base)
	kept := slices.DeleteFunc(b.jar.Cookies(at), func(c *http.Cookie) bool { return c.Name == "stepgate-"+at.Port() })
	b.jar, _ = cookiejar.New(nil)
	b.jar.SetCookies(at, kept)
	b.client.Jar = b.jar
}

const (
	someProof = "mfa signed_in"
	aKey      = "mfa phishing_resistant signed_in"
)

func TestRiskAsksForMore(t *testing.T) {
	g := startGateway(t, strings.ReplaceAll(riskSite, "geoip atlas.mmdb", ""), nil)
	atlasOf(t, filepath.Join(g.dir, "atlas.mmdb"), atlas)
	g.load(strings.ReplaceAll(riskSite, "geoip atlas.mmdb", "geoip "+filepath.Join(g.dir, "atlas.mmdb")))
	joe := g.addUser("joe")

	b, at := g.traveller(inCardiff)
	b.signIn(b.get("/"), "joe")
	if got := needed(b); got != aKey {
		t.Errorf("the first visit of all needs %s", got)
	}
	// A second factor that is proved makes the browser and the place known.
	b.enrol(b.get("/.stepgate/enrol/totp"))
	for _, c := range []struct {
		what, address string
		stranger      bool
		want          string
	}{
		{"where they were", inCardiff, false, "none"},
		{"in the next town, in another network", inNewport, false, "none"},
		{"on the other side of the earth, at once", inSydney, false, aKey},
		{"behind an anonymising network", hiddenAt, false, someProof},
		{"from an address that the database does not know", nowhere, false, aKey},
		{"where they were, in a browser that nobody knows", inCardiff, true, someProof},
		{"where they were, after all that", inCardiff, false, "none"},
	} {
		who, where := b, at
		if c.stranger {
			who, where = g.traveller(c.address)
		}
		where.address = c.address
		who.leaveSession()
		p := who.signIn(who.get("/"), "joe")
		if c.want == "none" {
			p.want(http.StatusOK, "/")
		}
		if got := needed(who); got != c.want {
			t.Errorf("%s: needs %s, want %s", c.what, got, c.want)
		}
	}

	t.Run("in mid-session", func(t *testing.T) {
		usual := at.agent
		at.address = inNewport
		if got := needed(b); got != "none" {
			t.Errorf("in the next town: %s", got)
		}
		at.agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0"
		if got := needed(b); got != someProof {
			t.Errorf("in another browser: %s", got)
		}
		at.agent = usual
		if got := needed(b); got != someProof {
			t.Errorf("back in the first: %s", got)
		}
		at.address = inSydney
		if got := needed(b); got != aKey {
			t.Errorf("on the other side of the earth: %s", got)
		}
	})

	t.Run("in the trail", func(t *testing.T) {
		records, err := active.Load().store.Events(t.Context(), audit.Query{Account: string(joe.ID), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[audit.Name]string{}
		for _, r := range records {
			for _, f := range r.Event.Detail {
				seen[r.Event.Name] += f.Key + "=" + f.Value + " "
			}
			if r.Event.Name == audit.ImpossibleTravel {
				seen[r.Event.Name] = r.Event.Address
			}
		}
		if !strings.Contains(seen[audit.LoginSuccess], "risk=high") || !strings.Contains(seen[audit.LoginSuccess], "risk_impossible_travel=60") ||
			!strings.Contains(seen[audit.RiskAssessed], "risk_browser_changed=40") || seen[audit.ImpossibleTravel] != inSydney {
			t.Errorf("%v", seen)
		}
	})
}

func TestFailuresAndAResetAreRisky(t *testing.T) {
	g := startGateway(t, strings.NewReplacer("geoip atlas.mmdb", "risk {\nweight recent_failures 40\nweight unknown_device 0\n}").Replace(riskSite), nil)
	g.addUser("joe")
	b, _ := g.traveller(inCardiff)
	b.signIn(b.get("/"), "joe")
	b.enrol(b.get("/.stepgate/enrol/totp"))
	b.leaveSession()
	b.signIn(b.get("/"), "joe")
	if got := needed(b); got != "none" {
		t.Fatalf("an ordinary visit needs %s", got)
	}
	b.leaveSession()
	for range 3 {
		p := b.get("/")
		b.submit(p, "username", map[string]string{"username": "joe", "password": "wrong"})
	}
	b.signIn(b.get("/"), "joe")
	if got := needed(b); got != someProof {
		t.Errorf("after three failures: %s", got)
	}
}

func TestADatabaseOfPlacesIsTakenAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "atlas.mmdb")
	atlasOf(t, file, atlas)
	core, logs := observer.New(zap.InfoLevel)
	app := &App{GeoIP: file, logger: zap.New(core)}
	if err := app.openGeoIP(); err != nil {
		t.Fatal(err)
	}
	stop := app.followGeoIP(5 * time.Millisecond)
	defer stop()
	here := netip.MustParseAddr(inCardiff)
	if got := app.place(here); got.Country != "GB" || !got.Located || got.System != 64500 || got.Anonymous {
		t.Fatalf("%+v", got)
	}
	if !app.place(netip.MustParseAddr(hiddenAt)).Anonymous {
		t.Error("an anonymising network is not told")
	}
	if err := os.WriteFile(file+".broken", []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".broken", file); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return logs.FilterMessageSnippet("cannot be read").Len() > 0 })
	if got := app.place(here); got.Country != "GB" {
		t.Errorf("a broken file took effect: %+v", got)
	}
	atlasOf(t, file, map[string]spot{"81.2.69.0/24": {"FR", 48.9, 2.4, 1, false}})
	waitFor(t, func() bool { return app.place(here).Country == "FR" })
	app.countries.Load().Close()
}

// Who stops waits for a database that is being taken anew: it would be left
// open.
func TestNoDatabaseOfPlacesIsTakenAfterTheEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "atlas.mmdb")
	atlasOf(t, file, atlas)
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	core, _ := observer.New(zap.InfoLevel)
	app := &App{GeoIP: file, logger: zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		begun <- struct{}{}
		<-goOn
		return nil
	}))}
	stop, stopped := app.followGeoIP(time.Millisecond), make(chan struct{})
	if err := os.Rename(file, file+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-begun
	go func() {
		stop()
		close(stopped)
	}()
	select {
	case <-stopped:
		t.Error("it was not waited for")
	case <-time.After(100 * time.Millisecond):
	}
	close(goOn)
	<-stopped
}
