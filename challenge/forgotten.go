package challenge

import (
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// This file is about a PIN that somebody has forgotten: the security questions
// or a text message let them choose another, and a private device makes its
// token anew under that: SP 800-63B-4 §3.2.10 knows no way to learn a PIN again.

const (
	forgottenPage = "/challenge/pin/forgot"
	// forgottenPIN names the operation.
	forgottenPIN = "forgotten-pin"
)

// replacesPIN tells whether a factor lets somebody choose another PIN.
func replacesPIN(f policy.Factor) bool { return f == policy.SecurityQuestions || f == policy.SMS }

// canReplacePIN tells whether the holder of these has a way to another PIN.
func canReplacePIN(held holdings) bool {
	return len(held.usable[policy.SecurityQuestions]) > 0 || len(held.usable[policy.SMS]) > 0
}

// forgottenPINs is the ceremony of another PIN.
type forgottenPINs struct{ *Site }

// forgotten is the page of a new PIN.
func (s forgottenPINs) forgotten(w http.ResponseWriter, r *http.Request) error {
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	if len(held.all[policy.PIN]) == 0 || !canReplacePIN(held) {
		return s.dispatch(w, r, v, c)
	}
	vouching := s.vouching(v, c, held)
	if len(vouching) == 0 {
		page, err := s.address(forgottenPage, c)
		if err != nil {
			return err
		}
		return operations(s).ask(w, r, v, ceremony.Operation{Once: forgottenPIN, Text: "operation.pin", Page: page})
	}
	chosen, err := deviceChoices(s).chosen(r.Context(), v)
	if err != nil {
		return err
	}
	k := &pinMaking{walk: *s.walk(v, c, policy.PIN, held), choosing: true, replacing: true, countsFrom: countFrom(vouching)}
	k.page = forgottenPage
	k.plain = s.resident() == nil || v.Session.Device != "" || !chosen.Private && len(held.usable[policy.DevicePIN]) == 0
	if r.Method != http.MethodPost {
		return k.show(w, r, nil)
	}
	k.form = s.formMark(r, v, at.fields)
	return k.answer(w, r, factors.Answer{Fields: at.fields})
}

// vouching are the proofs on which somebody may choose another PIN: those that
// were made for this, or on the way on which it is the PIN that is lacking.
// Whoever finds a session open a while later has to prove it anew, and so has
// who comes after another PIN was chosen.
func (s forgottenPINs) vouching(v *session.Entry, c ceremony.Continuation, held holdings) []policy.Proof {
	underWay := !s.satisfied(v, c)
	return slices.DeleteFunc(slices.Clone(v.Session.Proofs), func(p policy.Proof) bool {
		if !replacesPIN(p.Factor) || s.Now().Sub(p.At) >= ceremony.TransactionTTL || sinceProved(held.all[policy.PIN], p) {
			return true
		}
		return p.Once != forgottenPIN && (p.Once != "" || !underWay || p.At.Before(c.At) || !answered(held.all[p.Factor], p))
	})
}

// countFrom is from when a PIN counts that was chosen on any of these: one that
// waits to count itself makes nothing that counts sooner.
func countFrom(vouching []policy.Proof) time.Time {
	return slices.MinFunc(vouching, func(p, q policy.Proof) int { return p.CountsFrom.Compare(q.CountsFrom) }).CountsFrom
}

// sinceProved tells whether any of these was made after a proof.
func sinceProved(some []account.Credential, p policy.Proof) bool {
	return slices.ContainsFunc(some, func(own account.Credential) bool { return p.At.Before(own.CreatedAt) })
}

// answered tells a proof with one of these from that which came with its
// enrolment: to choose questions proves no knowledge of their answers.
func answered(some []account.Credential, p policy.Proof) bool {
	return slices.ContainsFunc(some, func(own account.Credential) bool {
		return string(own.ID) == p.Credential && own.CreatedAt.Before(p.At)
	})
}
