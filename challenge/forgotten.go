package challenge

import (
	"net/http"

	"github.com/stepgate/stepgate/factors"
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
	if !s.mayReplacePIN(v) {
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
	k := &pinMaking{walk: *s.walk(v, c, policy.PIN, held), choosing: true, replacing: true}
	k.page = forgottenPage
	k.plain = s.resident() == nil || v.Session.Device != "" || !chosen.Private && len(held.usable[policy.DevicePIN]) == 0
	if r.Method != http.MethodPost {
		return k.show(w, r, nil)
	}
	k.form = s.formMark(r, v, at.fields)
	return k.answer(w, r, factors.Answer{Fields: at.fields})
}

// mayReplacePIN tells whether the session has proved a moment ago, for this or
// on its way in, what lets somebody choose another PIN.
func (s forgottenPINs) mayReplacePIN(v *session.Entry) bool {
	for _, p := range v.Session.Proofs {
		if replacesPIN(p.Factor) && (p.Once == "" || p.Once == forgottenPIN) && s.Now().Sub(p.At) < ceremony.TransactionTTL {
			return true
		}
	}
	return false
}
