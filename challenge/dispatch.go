package challenge

import (
	"context"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// address is a page's address with a continuation in it.
func (s *Site) address(page string, c Continuation) (string, error) {
	sealed, err := c.seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return "", err
	}
	return s.Web.Path(page) + "?" + continuationField + "=" + sealed, nil
}

// Door is where a ceremony for an interrupted request begins: the sign-in for
// nobody, the challenge for somebody.
func (s *Site) Door(v Visitor, c Continuation) (string, error) {
	if !v.SignedIn() {
		return s.address("/sign-in", c)
	}
	return s.address("/challenge", c)
}

// continuation reads what a page was called with. A page opened without one,
// or with one that no longer holds, leads to the site's front page.
func (s *Site) continuation(r *http.Request) Continuation {
	text := r.PostForm.Get(continuationField)
	if text == "" {
		text = r.URL.Query().Get(continuationField)
	}
	if c, err := openContinuation(s.Sealer, s.Place.Origin, text, s.Now()); err == nil {
		return c
	}
	return Continuation{ID: "front", Kind: Return, Target: "/", At: s.Now().UTC()}
}

// missing is what v's session lacks of what c needs. Of a continuation that
// an older policy made nothing is known: the request itself will tell.
func (s *Site) missing(v Visitor, c Continuation) policy.LevelSet {
	if c.Policy != s.Policy.Fingerprint() {
		return 0
	}
	proofs := slices.DeleteFunc(slices.Clone(v.Entry.Session.Proofs), func(p policy.Proof) bool {
		return p.Once != "" && p.At.Before(c.At) // an earlier request's, spent or not
	})
	return c.Needs &^ s.Policy.MetOnce(proofs, true, s.Now(), c.Once)
}

// dispatch alone decides what is next, after every step: the interrupted
// request, another factor, an enrolment, or an honest end.
func (s *Site) dispatch(w http.ResponseWriter, r *http.Request, v Visitor, c Continuation) error {
	if !v.SignedIn() {
		return s.goTo(w, r, "/sign-in", c)
	}
	missing := s.missing(v, c)
	if missing == 0 {
		return s.resume(w, r, v, c)
	}
	held, err := s.held(r.Context(), v.Entry.Owner.Account.ID)
	if err != nil {
		return err
	}
	switch usable := s.usable(missing, v, held); {
	case len(usable) == 1:
		if r.Method == http.MethodPost && s.Factors.Find(usable[0]) != nil {
			s.walk(v, c, usable[0], held).ask(r)
		}
		return s.goTo(w, r, "/challenge/"+string(usable[0]), c)
	case len(usable) > 1:
		return s.goTo(w, r, "/challenge", c)
	default:
		return s.goTo(w, r, "/enrol", c)
	}
}

// goTo sends the browser to a page of the same ceremony.
func (s *Site) goTo(w http.ResponseWriter, r *http.Request, page string, c Continuation) error {
	to, err := s.address(page, c)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, s.Web, to)
}

// resume lets the interrupted request go on. Pages of its own it shows on a
// GET only, so that a reload sends nothing again.
func (s *Site) resume(w http.ResponseWriter, r *http.Request, v Visitor, c Continuation) error {
	switch {
	case c.Kind != Return && r.Method != http.MethodGet:
		return s.goTo(w, r, "/challenge", c)
	case c.Kind == Lost:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "lost", &lostView{View: s.view(w, r, v), Target: locationOf(c.Target)})
	case c.Kind == Window:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "window", &windowView{View: s.view(w, r, v)})
	default:
		web.Harden(w.Header(), s.Web)
		w.Header().Set("Location", locationOf(c.Target))
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
}

// locationOf writes a target, which was read as one in origin form that does
// not begin with two slashes, so that a browser asks for the same bytes.
func locationOf(target string) string {
	if target == "" || target[0] != '/' || len(target) > 1 && target[1] == '/' {
		return "/"
	}
	for _, b := range []byte(target) {
		if b <= ' ' || b == 0x7f || b == '\\' {
			return "/"
		}
	}
	return target
}

// holdings are an account's credentials by factor, the default first.
type holdings map[policy.Factor][]account.Credential

func (s *Site) held(ctx context.Context, owner account.ID) (holdings, error) {
	all, err := s.Store.Credentials(ctx, owner)
	if err != nil {
		return nil, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	held := holdings{}
	for _, c := range all {
		kind := policy.Factor(c.Factor)
		held[kind] = append(held[kind], c)
	}
	return held, nil
}

// second tells whether the person holds any second factor.
func (h holdings) second() bool {
	for kind := range h {
		if kind.Possession() {
			return true
		}
	}
	return false
}

// first is the factor of the person's default credential, or "".
func (h holdings) first() policy.Factor {
	for kind, all := range h {
		if all[0].Default {
			return kind
		}
	}
	return ""
}

// usable lists the factors of which one more proof brings the session nearer
// to what is missing and that the person holds: the default first, then the
// strongest. Empty means that no way can be walked to its end.
func (s *Site) usable(missing policy.LevelSet, v Visitor, held holdings) []policy.Factor {
	can := func(f policy.Factor) bool {
		return f == policy.Password || s.Factors.Find(f) != nil && len(held[f]) > 0
	}
	return s.next(s.ways(missing, v), can, held.first())
}

// enrollable lists the factors that the person could enrol to get further.
func (s *Site) enrollable(missing policy.LevelSet, v Visitor, held holdings) []policy.Factor {
	can := func(f policy.Factor) bool {
		_, ok := s.Factors.Enroller(f)
		return ok
	}
	held0 := func(f policy.Factor) bool { return len(held[f]) > 0 }
	return slices.DeleteFunc(s.next(s.ways(missing, v), can, ""), held0)
}

func (s *Site) ways(missing policy.LevelSet, v Visitor) [][]policy.Factor {
	return s.Policy.Ways(missing, v.Entry.Session.Proofs, s.Now())
}

// next lists the factors that stand in a way whose factors can all be had.
func (s *Site) next(ways [][]policy.Factor, can func(policy.Factor) bool, first policy.Factor) []policy.Factor {
	in := map[policy.Factor]bool{}
	for _, way := range ways {
		if !slices.ContainsFunc(way, func(f policy.Factor) bool { return !can(f) }) {
			for _, f := range way {
				in[f] = true
			}
		}
	}
	var out []policy.Factor
	if in[first] {
		out = append(out, first)
	}
	for _, f := range policy.Factors() {
		if in[f] && f != first {
			out = append(out, f)
		}
	}
	return out
}

// scope is the factor's view of a ceremony.
func (s *Site) scope(r *http.Request, v Visitor, purpose string) factors.Scope {
	return factors.Scope{
		Account: v.Entry.Owner.Account, Session: string(v.Entry.Session.ID), Site: s.Place.Origin, SiteName: s.Web.Name,
		RelyingParty: s.RelyingParty.ID, Purpose: purpose, Language: web.Language(r, s.Web), Address: s.Address(r), Now: s.Now().UTC(),
	}
}
