package challenge

import (
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// grant says on what authority a credential may be added (contract, section
// 7).
type grant struct {
	// allowed says that it may be added now; otherwise, with provable, once
	// a proof for this very operation has been made.
	allowed, provable bool
	// first marks the account's first second factor, with what a level asks
	// for beside it in the same ceremony.
	first bool
	// lifted says that the credential counts at once: a temporary code stands
	// behind it, and whoever issued that has looked, or it is one of those that
	// a level's enrolment begins with.
	lifted bool
	// seen are the second factors that it was judged by.
	seen []account.CredentialID
}

// stillFirst is what the store has to find unchanged when it keeps a first
// second factor.
func (g grant) stillFirst() *ceremony.First {
	if !g.first {
		return nil
	}
	first := &ceremony.First{Beside: g.seen}
	for _, f := range policy.Factors() {
		if f.Possession() {
			first.Among = append(first.Among, string(f))
		}
	}
	return first
}

// grant judges an enrolment by what the account holds, what the session has
// proved and what the site says. once names the operation.
//
// A first second factor needs the sign-in alone where the site says `self`, a
// code to an address of the account where it says `contact`, and a temporary
// code where it says `invited`. A further one needs a second factor or a
// temporary code, proved for this operation.
func (s enrolments) grant(v *session.Entry, c ceremony.Continuation, held holdings, once string) grant {
	proven := authorised(v.Session.Proofs, once)
	if s.inFirstSitting(v, c, held) {
		g := grant{allowed: true, first: true}
		for _, second := range held.seconds() {
			g.seen = append(g.seen, second.ID)
		}
		return g
	}
	if !held.second() {
		g := grant{first: true, lifted: temporary(v, time.Time{})}
		rule := s.enrolment(v)
		g.allowed = rule == EnrolSelf || g.lifted || proven && rule == EnrolContact
		g.provable = rule == EnrolContact || len(held.usable[policy.TemporaryCode]) > 0
		return g
	}
	return s.laterGrant(v, once)
}

// laterGrant is the authority for what comes after a first second factor.
func (s enrolments) laterGrant(v *session.Entry, once string) grant {
	g := grant{provable: true}
	g.lifted = temporary(v, s.Now().Add(-ceremony.TransactionTTL)) || s.liftedFor(v, once)
	g.allowed = g.lifted || authorised(v.Session.Proofs, once)
	return g
}

// enrolment is who may enrol a first second factor: the rule of the person's
// organisation, or else the site's.
func (s enrolments) enrolment(v *session.Entry) Enrolment {
	if own := v.Owner.Enrolment; own != "" {
		return Enrolment(own)
	}
	return s.Enrolment
}

// temporary tells whether the session has a temporary code's proof that was
// made after some moment, for whatever it was asked.
func temporary(v *session.Entry, after time.Time) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool {
		return p.Factor == policy.TemporaryCode && p.At.After(after)
	})
}

func (s enrolments) liftedFor(v *session.Entry, once string) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool {
		return p.Factor == policy.TemporaryCode && p.Once == once
	})
}

// inFirstSitting tells whether all second factors of the account were
// enrolled in this very ceremony, by this session, and the request needs
// another beside them: a level that asks for two would else leave everybody
// at the door for a day. Whoever may enrol the one without a second factor
// may as well enrol the other.
func (s enrolments) inFirstSitting(v *session.Entry, c ceremony.Continuation, held holdings) bool {
	seconds := held.seconds()
	if len(seconds) == 0 || c.Kind == ceremony.Operate || s.missing(v, c) == 0 {
		return false
	}
	return !slices.ContainsFunc(seconds, func(second account.Credential) bool {
		here := slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool { return p.Credential == string(second.ID) })
		return !here || second.CreatedAt.Before(c.At) || !second.CountsFrom.IsZero() || slices.ContainsFunc(second.BoundBy, func(f string) bool {
			return policy.Factor(f).Possession()
		})
	})
}

// bind fills in what a new credential counts for, and from when: before
// CountsFrom only for levels that the proofs it was added on would meet (SP
// 800-63B-4 §4.1.2: what is bound is worth no more than what it was bound with).
func (s enrolments) bind(c *account.Credential, v *session.Entry, g grant, once string, now time.Time) {
	for _, p := range bindingProofs(v, once) {
		for _, f := range effective(p, now) {
			c.BoundBy = append(c.BoundBy, string(f))
		}
	}
	if !g.first && !g.lifted && s.BindingDelay > 0 {
		c.CountsFrom = now.Add(s.BindingDelay)
	}
}

// bindingProofs are the sign-in and what was proved for the operation. What
// else the session proved, some time ago and for something else, does not
// vouch for a new credential.
func bindingProofs(v *session.Entry, once string) []policy.Proof {
	proofs := v.Session.Proofs
	pick := func(want func(policy.Proof) bool) []policy.Proof {
		return slices.DeleteFunc(slices.Clone(proofs), func(p policy.Proof) bool { return !want(p) })
	}
	signIn := pick(func(p policy.Proof) bool { return p.Once == "" && p.Factor == policy.Password })
	if len(signIn) == 0 {
		signIn = pick(func(p policy.Proof) bool { return p.Once == "" && p.Factor == policy.WebAuthn && p.UserVerified })
	}
	return append(signIn, pick(func(p policy.Proof) bool {
		return once != "" && p.Once == once || p.Factor == policy.TemporaryCode && p.Once == ""
	})...)
}

// effective is what a proof vouches for: its own factor, or while its
// credential waits to count, the factors that this one was added on. So a
// chain of new credentials is never worth more than its first link.
func effective(p policy.Proof, now time.Time) []policy.Factor {
	if now.Before(p.CountsFrom) {
		return p.BoundBy
	}
	return []policy.Factor{p.Factor}
}
