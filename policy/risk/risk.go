package risk

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// verdict is what a signal says of a visit.
type verdict int

const (
	clear   verdict = iota // it does not hold
	holds                  // it does
	unknown                // nobody can tell: it counts
	off                    // it has nothing to look at in this configuration
)

// signal is one thing that makes a visit unusual.
type signal struct {
	// name is its word in the configuration, in explanations and in the trail.
	name   string
	weight int
	// text is one line: when it holds.
	text  string
	judge func(*Facts, *Settings) verdict
}

// signals are all of them, in the order in which they are shown.
var signals = []signal{
	unknownDevice, outsideNetworks, newNetwork, newCountry, impossibleTravel, recentFailures, longAbsence, passwordReset, anonymousNetwork,
	browserChanged, deniedRequest,
}

// Defaults of Settings. A device that nobody knows is medium risk by itself,
// whatever else there is.
const (
	DefaultMedium  = 40
	DefaultHigh    = 80
	DefaultAbsence = 90 * 24 * time.Hour
)

// Settings are what an operator may change. The zero value takes the defaults.
type Settings struct {
	// Weights replace those of signals, by name; 0 switches one off.
	Weights map[string]int
	// Medium and High are the sums from which the risk is so.
	Medium, High int
	// Absence is how long nobody came for a visit to be the first in a long
	// time.
	Absence time.Duration
	// Internal are the operator's own networks.
	Internal []netip.Prefix
	// Places says that the configuration has a database of places.
	Places bool
}

func (s *Settings) weight(g signal) int {
	if w, ok := s.Weights[g.name]; ok {
		return w
	}
	return g.weight
}

// Check tells what is wrong with the settings.
func (s *Settings) Check() error {
	for name, weight := range s.Weights {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("`%s`: no such signal", name)
		}
		if weight < 0 {
			return fmt.Errorf("weight %s: %d is less than nothing, and risk only ever raises", name, weight)
		}
	}
	medium, high := s.thresholds()
	if medium < 1 || high < medium {
		return fmt.Errorf("medium is %d and high is %d: expected 1 or more, and no less for high than for medium", medium, high)
	}
	return nil
}

func (s *Settings) thresholds() (medium, high int) {
	medium, high = s.Medium, s.High
	if medium == 0 {
		medium = DefaultMedium
	}
	if high == 0 {
		high = max(DefaultHigh, medium)
	}
	return medium, high
}

func (s *Settings) internal(a netip.Addr) bool {
	return slices.ContainsFunc(s.Internal, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Names lists the signals.
func Names() []string {
	var names []string
	for _, g := range signals {
		names = append(names, g.name)
	}
	return names
}

// Scale is what a visit is scored by: every signal that has something to look
// at, with its weight, before any of them counts.
func (s Settings) Scale() Assessment {
	a := Assess(Facts{}, s)
	a.Sum, a.Risk = 0, policy.RiskLow.String()
	for i := range a.Findings {
		a.Findings[i].Counts, a.Findings[i].Unknown = false, false
	}
	return a
}

// Facts are what is known of a visit. A zero fact that has a …Known beside it
// is a missing one.
type Facts struct {
	Now     time.Time
	Address netip.Addr
	// Place is where the address is.
	Place Place
	// DeviceKnown says that this browser has proved a second factor for this
	// account, not long ago.
	DeviceKnown bool
	// Visits are those of the account that were believed, in any order.
	Visits      []Visit
	VisitsKnown bool
	// Failures are the failed tries in a row before this one, of the account
	// or from the address, whichever are more.
	Failures      int
	FailuresKnown bool
	// ResetAt is when the password or the factors were last reset, if that is
	// less than ResetWindow ago.
	ResetAt    time.Time
	ResetKnown bool
	// DeniedAt is when the person last denied a request on their phone, if that
	// is less than DenialWindow ago.
	DeniedAt    time.Time
	DenialKnown bool
	// BrowserChanged says that the browser of a session is another than it
	// began in.
	BrowserChanged bool
}

// Finding is what one signal says of a visit.
type Finding struct {
	Signal string `json:"signal"`
	Weight int    `json:"weight"`
	// Counts says that the weight is in the sum, Unknown that it is because
	// nobody can tell.
	Counts  bool   `json:"counts"`
	Unknown bool   `json:"unknown,omitempty"`
	Text    string `json:"text"`
}

// Assessment is the score of a visit with its reasons.
type Assessment struct {
	Findings []Finding `json:"signals"`
	Sum      int       `json:"sum"`
	Medium   int       `json:"medium"`
	High     int       `json:"high"`
	// Risk is the word.
	Risk string `json:"risk"`
}

// Assess scores a visit.
func Assess(f Facts, s Settings) Assessment {
	if s.Absence == 0 {
		s.Absence = DefaultAbsence
	}
	var a Assessment
	a.Medium, a.High = s.thresholds()
	for _, g := range signals {
		said := g.judge(&f, &s)
		if said == off {
			continue
		}
		found := Finding{Signal: g.name, Weight: s.weight(g), Counts: said != clear, Unknown: said == unknown, Text: g.text}
		if found.Counts {
			a.Sum += found.Weight
		}
		a.Findings = append(a.Findings, found)
	}
	level := policy.RiskLow
	switch {
	case a.Sum >= a.High:
		level = policy.RiskHigh
	case a.Sum >= a.Medium:
		level = policy.RiskMedium
	}
	a.Risk = level.String()
	return a
}

func when(condition bool) verdict {
	if condition {
		return holds
	}
	return clear
}
