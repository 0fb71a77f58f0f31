package author

import (
	"errors"
	"net/netip"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Refusal is why a target gets 400 before any rule is asked.
type Refusal struct {
	Status int    `json:"status"`
	Reason string `json:"reason"` // one of target's Reason words, or ReasonHalfOwn
	Text   string `json:"text"`
}

// ReasonHalfOwn: some reading of the target is a page of the gateway, and the
// target is not plainly one.
const ReasonHalfOwn = "half-own"

// OutcomeRefused stands beside the outcomes of policy.Decision.
const OutcomeRefused = "refused"

// Answer is what `policy explain` says about one request. Where the target is
// refused, the explanation is empty.
type Answer struct {
	Site   string `json:"site"`
	Method string `json:"method"`
	Target string `json:"target"`
	// Refused is nil where the target is read.
	Refused *Refusal `json:"refused"`
	// Own is set where the target is a page of the gateway itself.
	Own bool `json:"own,omitempty"`
	// Login is the part of the watched login that the request is, as
	// Site.Login calls it: it passes without a session.
	Login string `json:"login,omitempty"`
	// Assumed are the facts that nobody said.
	Assumed []string `json:"assumed"`
	// Losing are rules that match and do not hold, and Ways the sets of proofs
	// that would do, the sign-in aside; filled by InFull.
	Losing []Losing          `json:"losing,omitempty"`
	Ways   [][]policy.Factor `json:"ways,omitempty"`
	policy.Explanation
}

// Explain answers about a request with these facts. They are completed first.
func (s *Site) Explain(f Facts) Answer {
	f.Complete(f.Now)
	a := Answer{Site: s.Origin, Method: f.Method, Target: f.Target, Assumed: append([]string{}, f.Assumed...)}
	readings, refusal := s.read(f.Target)
	if refusal != nil {
		a.Refused = refusal
		a.Explanation = without(OutcomeRefused, refusal.Reason)
		return a
	}
	if s.Prefix != "" && readings.PlainlyBelow(s.Prefix) {
		a.Own = true
		a.Explanation = without(policy.Allow.String(), policy.ReasonPublic)
		a.Public = true
		return a
	}
	r := s.request(&f, &readings, s.describer())
	a.Explanation = s.Policy.Explain(&r)
	if a.Reason != policy.ReasonPathDenied {
		a.Login = s.login(&f, &readings)
	}
	return a
}

// login is Login, also where there is none.
func (s *Site) login(f *Facts, readings *target.Readings) string {
	if s.Login == nil {
		return ""
	}
	return s.Login(f, readings)
}

// InFull adds what only who explains needs: the rules that match the request
// and do not hold, with the reason that each lost, which tries every rule; and
// who could pass, by their proofs.
func (s *Site) InFull(a Answer, now time.Time) Answer {
	a.Losing = s.losing(a.Explanation, a.Method)
	if a.Refused == nil && !a.Deny && !a.Public {
		a.Ways = s.Policy.Ways(s.set(a.Levels), nil, now)
	}
	return a
}

// without is an explanation that names no rule.
func without(outcome, reason string) policy.Explanation {
	return policy.Explanation{
		Outcome: outcome, Reason: reason, Levels: []string{}, Missing: []string{}, Readings: []policy.ReadingExplanation{},
		RaisedBy: []policy.RaiseExplanation{}, Requires: []string{},
	}
}

// read reads a target as the handler does.
func (s *Site) read(raw string) (target.Readings, *Refusal) {
	if raw == "*" {
		raw = "/"
	}
	readings, err := s.Reader.Read(raw)
	if err != nil {
		refusal := &Refusal{Status: 400, Text: err.Error()}
		if m := (*target.Malformed)(nil); errors.As(err, &m) {
			refusal.Reason = m.Reason
		}
		return readings, refusal
	}
	if s.Prefix != "" && readings.AnyBelow(s.Prefix) && !readings.PlainlyBelow(s.Prefix) {
		return readings, &Refusal{Status: 400, Reason: ReasonHalfOwn, Text: "half below the gateway's own pages"}
	}
	return readings, nil
}

// describer is a function for Facts that one goroutine uses; nil for none.
func (s *Site) describer() func(Facts) any {
	if s.Describe == nil {
		return nil
	}
	return s.Describe()
}

// request is the facts in the form in which the policy takes them.
func (s *Site) request(f *Facts, readings *target.Readings, describe func(Facts) any) policy.Request {
	r := policy.Request{
		Method: f.Method, Target: readings, Form: f.Body(), SignedIn: f.SignedIn, Username: f.Username, Groups: f.Groups,
		Organisation: f.Organisation, Requires: f.Requires, Device: f.Device, Risk: f.Risk, Country: f.Country, Now: f.Now,
	}
	for _, h := range f.Header {
		if s.ClaimsMethod != nil && s.ClaimsMethod(h.Name) {
			r.Claimed = append(r.Claimed, h.Value)
		}
	}
	if describe != nil {
		r.Context = describe(*f)
	}
	return r
}

func checkAddress(text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return errors.New("--client-ip " + text + ": expected an IP address")
	}
	return nil
}
