package risk

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy"
)

var (
	noon    = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	cardiff = Place{Country: "GB", Located: true, Latitude: 51.48, Longitude: -3.18, Radius: 20}
	newport = Place{Country: "GB", Located: true, Latitude: 51.58, Longitude: -2.99, Radius: 20}
	leeds   = Place{Country: "GB", Located: true, Latitude: 53.80, Longitude: -1.55, Radius: 20}
	sydney  = Place{Country: "AU", Located: true, Latitude: -33.87, Longitude: 151.21, Radius: 50}
)

// usual is a visit from a known browser, where the account was an hour ago.
func usual() Facts {
	f := Facts{
		Now: noon, Address: netip.MustParseAddr("198.51.100.7"), Place: cardiff, DeviceKnown: true, VisitsKnown: true, FailuresKnown: true, ResetKnown: true, DenialKnown: true,
	}
	f.Visits = []Visit{{At: noon.Add(-time.Hour), Network: Network(f.Address, cardiff), Place: cardiff}}
	return f
}

func counted(a Assessment) string {
	var names []string
	for _, f := range a.Findings {
		if f.Counts {
			name := f.Signal
			if f.Unknown {
				name += "?"
			}
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func TestWhatIsUnusualAddsUp(t *testing.T) {
	office := Settings{Places: true, Internal: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, c := range []struct {
		what   string
		change func(*Facts)
		set    Settings
		want   string
		risk   policy.Risk
	}{
		{"nothing", func(*Facts) {}, Settings{Places: true}, "", policy.RiskLow},
		{"another browser", func(f *Facts) { f.DeviceKnown = false }, Settings{}, "unknown_device", policy.RiskMedium},
		{"another network in the same town", func(f *Facts) { f.Address, f.Place = netip.MustParseAddr("203.0.113.9"), newport }, Settings{Places: true}, "new_network", policy.RiskLow},
		{"on holiday, a day later", func(f *Facts) {
			f.Address, f.Place, f.Now = netip.MustParseAddr("203.0.113.9"), sydney, noon.Add(30*time.Hour)
		}, Settings{Places: true}, "new_network new_country", policy.RiskMedium},
		{"on the other side of the earth, an hour later", func(f *Facts) { f.Address, f.Place = netip.MustParseAddr("203.0.113.9"), sydney }, Settings{Places: true}, "new_network new_country impossible_travel", policy.RiskHigh},
		{"a clock that went back, in one town", func(f *Facts) { f.Now, f.Place = noon.Add(-9*time.Hour), newport }, Settings{Places: true}, "", policy.RiskLow},
		{"a clock that went back, far away", func(f *Facts) { f.Now, f.Place = noon.Add(-9*time.Hour), sydney }, Settings{Places: true}, "new_country impossible_travel", policy.RiskHigh},
		{"a clock that went forward, far away", func(f *Facts) { f.Now, f.Place = noon.Add(500*time.Hour), leeds }, Settings{Places: true}, "", policy.RiskLow},
		{"a privacy address of the same line", func(f *Facts) {
			f.Address = netip.MustParseAddr("2001:db8:1:2:aaaa::1")
			f.Visits = append(f.Visits, Visit{At: noon.Add(-time.Minute), Network: Network(netip.MustParseAddr("2001:db8:1:2:bbbb::9"), cardiff), Place: cardiff})
		}, Settings{Places: true}, "", policy.RiskLow},
		{"a carrier that comes out elsewhere", func(f *Facts) {
			here, there := cardiff, leeds
			here.System, there.System = 64500, 64500
			f.Visits = []Visit{{At: noon.Add(-time.Minute), Network: "AS64500", Place: here}}
			f.Place = there
		}, Settings{Places: true}, "", policy.RiskLow},
		{"a place that nobody knows", func(f *Facts) { f.Place = Place{} }, Settings{Places: true}, "new_country? impossible_travel?", policy.RiskHigh},
		{"no database", func(f *Facts) { f.Place = Place{} }, Settings{}, "", policy.RiskLow},
		{"in the office, for the first time", func(f *Facts) { f.Address, f.Place, f.Visits = netip.MustParseAddr("10.1.2.3"), Place{}, nil }, office, "", policy.RiskLow},
		{"outside the office", func(f *Facts) {}, office, "outside_networks", policy.RiskLow},
		{"the first visit of all", func(f *Facts) { f.DeviceKnown, f.Visits = false, nil }, Settings{Places: true}, "unknown_device new_network new_country", policy.RiskHigh},
		{"guesses before", func(f *Facts) { f.Failures = 3 }, Settings{}, "recent_failures", policy.RiskLow},
		{"guesses, and a new password", func(f *Facts) { f.Failures, f.ResetAt = 3, noon.Add(-time.Hour) }, Settings{}, "recent_failures password_reset", policy.RiskMedium},
		{"a request that was denied", func(f *Facts) { f.DeniedAt = noon.Add(-time.Hour) }, Settings{}, "denied_request", policy.RiskMedium},
		{"one that was denied the day before", func(f *Facts) { f.DeniedAt = noon.Add(-25 * time.Hour) }, Settings{}, "", policy.RiskLow},
		{"a password of last week", func(f *Facts) { f.ResetAt = noon.Add(-170 * time.Hour) }, Settings{}, "", policy.RiskLow},
		{"after half a year", func(f *Facts) { f.Now = noon.Add(4000 * time.Hour) }, Settings{}, "long_absence", policy.RiskLow},
		{"behind an open proxy", func(f *Facts) { f.Place.Anonymous = true }, Settings{Places: true}, "anonymous_network", policy.RiskMedium},
		{"in another browser in mid-session", func(f *Facts) { f.BrowserChanged = true }, Settings{}, "browser_changed", policy.RiskMedium},
		{"nothing could be read", func(f *Facts) { *f = Facts{Now: noon, Address: f.Address} }, Settings{},
			"unknown_device new_network? recent_failures? long_absence? password_reset? denied_request?", policy.RiskHigh},
		{"a signal that is switched off", func(f *Facts) { f.DeviceKnown = false }, Settings{Weights: map[string]int{"unknown_device": 0}}, "unknown_device", policy.RiskLow},
		{"other thresholds", func(f *Facts) { f.Failures = 3 }, Settings{Medium: 10, High: 20}, "recent_failures", policy.RiskHigh},
	} {
		f := usual()
		c.change(&f)
		a := Assess(f, c.set)
		level, _ := policy.ParseRisk(a.Risk)
		if counted(a) != c.want || level != c.risk {
			t.Errorf("%s: %s, sum %d: %q; want %s: %q", c.what, a.Risk, a.Sum, counted(a), c.risk, c.want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []Settings{{Weights: map[string]int{"unknown_devise": 1}}, {Weights: map[string]int{"new_country": -1}}, {Medium: 50, High: 40}, {Medium: -1}} {
		if s.Check() == nil {
			t.Errorf("%+v was taken", s)
		}
	}
	if err := (&Settings{Medium: 100}).Check(); err != nil {
		t.Error(err)
	}
}

func TestAPlaceIsRememberedOnce(t *testing.T) {
	var visits []Visit
	for i := range 100 {
		visits = Remember(visits, Visit{At: noon.Add(time.Duration(i) * time.Hour), Network: "AS" + string(rune('A'+i%40)), Place: cardiff})
	}
	if len(visits) != maxVisits || visits[0].Network != "AST" {
		t.Errorf("%d visits, the newest %+v", len(visits), visits[0])
	}
	if visits = Remember(visits, Visit{At: noon.Add(2 * Kept), Network: "AS1"}); len(visits) != 1 {
		t.Errorf("%d visits after a year", len(visits))
	}
}
