package challenge

import (
	"net/http"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

// Require is for pages that other rooms own: it tells whether v is signed in
// and meets the levels, built-in ones in their built-in meaning, with what the
// person's organisation and they themselves ask for. Where it says false
// without an error it has answered: the browser is on its way to the sign-in or
// the challenge, and comes back to page, a path of ours with its query, by a
// GET. What a form said is then lost.
func (s *Site) Require(w http.ResponseWriter, r *http.Request, v *session.Entry, page string, levels ...string) (bool, error) {
	if v != nil {
		levels = append(levels, v.Owner.Requires()...)
	}
	needs, err := s.Policy.Required(levels)
	if err != nil {
		return false, err
	}
	c := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Return, Target: page, Needs: needs, Policy: s.Policy.Fingerprint(), At: s.Now().UTC(),
	}
	if v != nil && s.missing(v, c) == 0 {
		return true, nil
	}
	return false, s.dispatch(w, r, v, c)
}
