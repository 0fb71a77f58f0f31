package throttle

import (
	"net/netip"
	"time"
)

// Limits are the budgets of one factor; doc.go has the table.
type Limits struct {
	// Near counts one address at one account, Far all addresses at one
	// account, Address one address at all accounts.
	Near, Far, Address Attempts
	// Known counts one known browser at its own account.
	Known Attempts
	// Cap is how many failures in a row disable the factor, counted for all
	// unknown browsers together and for each known one by itself. 0: none.
	Cap int
}

// Plan names the counters of a try. It has no state of its own.
type Plan struct {
	MAC MAC
	// Default holds for factors that ByFactor does not have.
	Default  Limits
	ByFactor map[string]Limits
}

// Try is one answer about to be compared.
type Try struct {
	// Account is the account's ID; for the factor password always
	// TypedName, whether or not such an account exists. Empty where nobody
	// is named yet (a passkey without a name).
	Account string
	// Factor is the text of a policy.Factor.
	Factor string
	// Address is the client's, after trusted proxies.
	Address netip.Addr
	// Known names the browser, or the session, that the try comes from, if it
	// is this very account's and has proved there what the sign-in alone does
	// not give. A session that has only signed in is not
	// known: whoever has the password could begin as many as they like and
	// guess the second factor afresh in each. Empty for everybody else.
	Known string
}

// TypedName is the Account of a sign-in with a password: the folded name
// (account.FoldUsername), so that every way of writing it is one. The sources
// of a site are asked in turn for one try, so the name stands for all of them.
func TypedName(folded string) string { return "sign-in " + folded }

// DefaultPlan is the plan with the numbers of the package's documentation.
func DefaultPlan(mac MAC) *Plan {
	waits := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	quarter, half := []time.Duration{15 * time.Minute}, []time.Duration{30 * time.Minute}
	return &Plan{
		MAC:     mac,
		Default: limits(5, 20, 100, waits),
		ByFactor: map[string]Limits{
			"password":           limits(10, 50, 100, waits),
			"backup_code":        limits(10, 20, 100, quarter),
			"security_questions": limits(5, 10, 10, half),
			"pin":                limits(5, 20, 10, waits),
			"device_pin":         limits(5, 20, 10, waits),
		},
	}
}

func limits(near, far, ceiling int, waits []time.Duration) Limits {
	const day = 24 * time.Hour
	return Limits{
		Near:    Attempts{Free: near, Delays: waits, Decay: day},
		Far:     Attempts{Free: far, Delays: waits, Decay: day},
		Address: Attempts{Free: 40, Delays: []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute}, Decay: time.Hour},
		Known:   Attempts{Free: near, Delays: waits, Decay: day},
		Cap:     ceiling,
	}
}

func (p *Plan) limits(factor string) Limits {
	if l, ok := p.ByFactor[factor]; ok {
		return l
	}
	return p.Default
}

// Charges lists what a try is counted against. Given to Ledger.Clear they are
// what a reset or a new enrolment makes new; then an empty Address stands for
// "wherever the person is" and leaves at most the wait of one place.
func (p *Plan) Charges(t Try) []Charge {
	l := p.limits(t.Factor)
	if t.Account != "" && t.Known != "" {
		return p.capped(l.Cap, "known", Charge{
			Key: NewKey(p.MAC, "known", t.Account, t.Factor, t.Known), Which: "known", Budget: l.Known,
		}, t.Account, t.Factor, t.Known)
	}
	address := AddressKeyPart(t.Address)
	charges := []Charge{{
		Key: NewKey(p.MAC, "address", t.Factor, address), Which: "address", Budget: l.Address, Shared: true,
	}}
	if t.Account == "" {
		return charges
	}
	charges = append(charges, Charge{
		Key: NewKey(p.MAC, "near", t.Account, t.Factor, address), Which: "near", Budget: l.Near,
	})
	return append(charges, p.capped(l.Cap, "far", Charge{
		Key: NewKey(p.MAC, "far", t.Account, t.Factor), Which: "far", Budget: l.Far,
	}, t.Account, t.Factor)...)
}

// capped is a charge and the count in a row that goes with it.
func (p *Plan) capped(limit int, which string, charge Charge, parts ...string) []Charge {
	if limit <= 0 {
		return []Charge{charge}
	}
	key := NewKey(p.MAC, append([]string{which + " cap"}, parts...)...)
	return []Charge{charge, {Key: key, Which: which + " cap", Budget: Attempts{Cap: limit}}}
}
