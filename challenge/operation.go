package challenge

import (
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// operations is the ceremony of a proof that is made for one operation of
// another room.
type operations struct{ *Site }

// Visitor finds whose request to a page of another room it is, nil for nobody.
func (s *Site) Visitor(r *http.Request) (*session.Entry, error) { return s.visitor(r) }

// Authorised implements ceremony.Authority.
func (s *Site) Authorised(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation) (bool, error) {
	return operations{s}.operate(w, r, v, o, func(id string) error {
		_, err := s.Store.Transaction(r.Context(), id, s.Now().UTC())
		return err
	})
}

// Spend implements ceremony.Authority.
func (s *Site) Spend(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation) (bool, error) {
	return operations{s}.operate(w, r, v, o, func(id string) error {
		return s.Store.RedeemTransaction(r.Context(), id, s.Now().UTC())
	})
}

// operate tells whether use finds any of the proofs that v made for o still
// to be spent, and otherwise sends the browser to make one (ASVS 5.0 7.5.1).
func (s operations) operate(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation, use func(id string) error) (bool, error) {
	if v == nil {
		return false, s.ask(w, r, v, o)
	}
	on := false
	for _, proof := range v.Session.Proofs {
		if !proves(proof, o.Once) {
			continue
		}
		switch err := use(ceremony.OnceTransaction(v.Session.ID, proof)); {
		case err == nil:
			on = true
		case !errors.Is(err, ceremony.ErrTransactionGone):
			return false, s.unavailable(err)
		}
	}
	if on {
		return true, nil
	}
	return false, s.ask(w, r, v, o)
}

// ask sends the person to prove that they may do an operation. Proofs that
// were made for it before are spent, so that only a later one will do, by
// whichever node's clock.
func (s operations) ask(w http.ResponseWriter, r *http.Request, v *session.Entry, o ceremony.Operation) error {
	at := s.Now().UTC()
	if v != nil {
		for _, p := range v.Session.Proofs {
			if p.Once == o.Once && !p.At.Before(at) {
				at = p.At.Add(1)
			}
		}
	}
	return s.dispatch(w, r, v, ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Operate, Target: o.Page, Once: o.Once, Operation: o.Text, At: at,
	})
}

// authorises tells whether a factor may prove an operation. Knowledge and
// codes from a list never do; a temporary code does, for whoever issued it
// has looked at who asks.
func authorises(f policy.Factor) bool { return f.Possession() || f == policy.TemporaryCode }

// proves tells whether a proof was made for this operation.
func proves(p policy.Proof, once string) bool {
	return once != "" && p.Once == once && (authorises(p.Factor) || once == forgottenPIN && replacesPIN(p.Factor))
}

// authorised tells whether one of the proofs was made for this operation.
func authorised(proofs []policy.Proof, once string) bool {
	return slices.ContainsFunc(proofs, func(p policy.Proof) bool { return proves(p, once) })
}

// offerPIN lists what lets somebody choose another PIN.
func offerPIN(held holdings) offer {
	o := offer{}
	for _, f := range held.sorted([]policy.Factor{policy.SecurityQuestions, policy.SMS}) {
		if len(held.usable[f]) > 0 {
			o.factors = append(o.factors, f)
		}
	}
	if len(o.factors) == 1 {
		o.direct = o.factors[0]
	}
	return o
}

// offerOperation lists what may prove an operation: the second factors that
// are held, or where there are none the addresses on the account.
func (s operations) offerOperation(v *session.Entry, held holdings) offer {
	var can []policy.Factor
	for f := range held.usable {
		if authorises(f) {
			can = append(can, f)
		}
	}
	if !held.second() && enrolments(s).enrolment(v) == EnrolContact {
		for f := range s.contacts(v) {
			can = append(can, f)
		}
	}
	o := offer{factors: held.sorted(can)}
	if own := slices.DeleteFunc(slices.Clone(o.factors), policy.Factor.Fallback); len(own) == 1 || len(o.factors) == 1 {
		o.direct = o.factors[0]
	}
	return o
}

// contactCredential begins the ID of what stands for an address of the
// account that nobody has enrolled: it can prove an operation and nothing
// else.
const contactCredential = "contact "

// contacts are the addresses on the account to which a code can be sent, as
// if they were credentials. They came from the sign-in source or from an
// administrator: a person without a second factor cannot change them.
func (s operations) contacts(v *session.Entry) map[policy.Factor]account.Credential {
	owner := v.Owner.Account
	all := map[policy.Factor]account.Credential{}
	for f, address := range map[policy.Factor]string{policy.SMS: owner.Mobile, policy.Email: owner.Email} {
		if address != "" && s.Factors.Find(f) != nil {
			all[f] = account.Credential{
				ID: account.CredentialID(contactCredential + string(f)), Account: owner.ID, Factor: string(f), Label: address, Address: address,
			}
		}
	}
	return all
}

// provable are the credentials with which a factor is proved for c.
func (s prospects) provable(kind policy.Factor, v *session.Entry, c ceremony.Continuation, held holdings) []account.Credential {
	own := held.all[kind]
	if c.Kind != ceremony.Operate {
		if some := s.helpful(v, c, own); len(some) > 0 {
			return some
		}
		return own
	}
	if len(own) > 0 {
		return own
	}
	if contact, ok := operations(s).contacts(v)[kind]; ok {
		return []account.Credential{contact}
	}
	return nil
}

// Interface guard.
var _ ceremony.Authority = (*Site)(nil)
