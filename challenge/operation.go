package challenge

import (
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// operation is something that a person does to their own account and that
// wants a second-factor proof made for it alone (contract, section 7).
type operation struct {
	// once names it: the proof is bound to it and opens nothing else. It ends
	// with the transaction that it is made of.
	once string
	// text is the id of the text that names it on the pages of its proof.
	text string
	// page is ours, with its continuation: where it goes on.
	page string
}

// ask sends the person to prove that they may do an operation.
func (s *Site) ask(w http.ResponseWriter, r *http.Request, v *session.Entry, o operation) error {
	return s.dispatch(w, r, v, ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Operate, Target: o.page, Once: o.once, Operation: o.text, At: s.Now().UTC(),
	})
}

// authorises tells whether a factor may prove an operation. Knowledge and
// codes from a list never do; a temporary code does, for whoever issued it
// has looked at who asks.
func authorises(f policy.Factor) bool { return f.Possession() || f == policy.TemporaryCode }

// authorised tells whether the session has a proof made for this operation.
func authorised(v *session.Entry, once string) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool {
		return once != "" && p.Once == once && authorises(p.Factor)
	})
}

// offerOperation lists what may prove an operation: the second factors that
// are held, or where there are none the addresses on the account.
func (s *Site) offerOperation(v *session.Entry, held holdings) offer {
	var can []policy.Factor
	for f := range held.usable {
		if authorises(f) {
			can = append(can, f)
		}
	}
	if !held.second() && s.Enrolment == EnrolContact {
		for f := range s.contacts(v) {
			can = append(can, f)
		}
	}
	o := offer{factors: held.sorted(can)}
	if own := slices.DeleteFunc(slices.Clone(o.factors), fallback); len(own) == 1 || len(o.factors) == 1 {
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
func (s *Site) contacts(v *session.Entry) map[policy.Factor]account.Credential {
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
func (s *Site) provable(kind policy.Factor, v *session.Entry, c ceremony.Continuation, held holdings) []account.Credential {
	if own := held.all[kind]; len(own) > 0 || c.Kind != ceremony.Operate {
		return own
	}
	if contact, ok := s.contacts(v)[kind]; ok {
		return []account.Credential{contact}
	}
	return nil
}
