package challenge

import (
	"net/http"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// address is a page's address, which may have a query, with a continuation in
// it.
func (s *Site) address(page string, c ceremony.Continuation) (string, error) {
	sealed, err := c.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return "", err
	}
	mark := "?"
	if strings.Contains(page, mark) {
		mark = "&"
	}
	return s.Web.Path(page) + mark + continuationField + "=" + sealed, nil
}

// Door is where a ceremony for an interrupted request begins: the sign-in for
// nobody, the challenge for somebody.
func (s *Site) Door(v *session.Entry, c ceremony.Continuation) (string, error) {
	if v == nil {
		return s.address("/sign-in", c)
	}
	return s.address("/challenge", c)
}

// continuationField carries a continuation, in addresses and in forms.
const continuationField = "c"

// backField, beside the continuation of a frame, is the page around it.
const backField = "back"

// windowField says that the page that was interrupted goes on by itself, and
// that this is a small window beside it.
const windowField = "window"

// frontContinuation is the ID of the continuation of a page that was opened
// by itself.
const frontContinuation = "front"

// continuation reads what a page was called with. A page opened without one,
// or with one that no longer holds, leads to the site's front page.
func (s *Site) continuation(r *http.Request) ceremony.Continuation {
	text := r.PostForm.Get(continuationField)
	if text == "" {
		text = r.URL.Query().Get(continuationField)
	}
	if c, err := ceremony.OpenContinuation(s.Sealer, s.Place.Origin, text, s.Now()); err == nil {
		if back := r.URL.Query().Get(backField); c.Framed && web.SafePath(back) {
			c.Target, c.Framed = back, false
		}
		if c.Kind == ceremony.Return && r.URL.Query().Has(windowField) {
			c.Kind = ceremony.Window
		}
		return c
	}
	return ceremony.Continuation{ID: frontContinuation, Kind: ceremony.Return, Target: "/", At: s.Now().UTC()}
}

// missing is what v's session lacks of what c needs. Of a continuation that
// an older policy made nothing is known: the request itself will tell.
func (s *Site) missing(v *session.Entry, c ceremony.Continuation) policy.LevelSet {
	if c.Policy != s.Policy.Fingerprint() {
		return 0
	}
	return c.Needs &^ s.Policy.MetOnce(c.Needs, proofsFor(v, c), true, s.Now(), c.Once)
}

// proofsFor are the session's proofs but for those that were made for one
// request, or one operation, before c: spent or not, they are not for it.
func proofsFor(v *session.Entry, c ceremony.Continuation) []policy.Proof {
	return slices.DeleteFunc(slices.Clone(v.Session.Proofs), func(p policy.Proof) bool {
		return p.Once != "" && p.At.Before(c.At)
	})
}

// dispatch alone decides what is next, after every step: the interrupted
// request, another factor, an enrolment, or an honest end.
func (s *Site) dispatch(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	if v == nil {
		return s.goTo(w, r, "/sign-in", c)
	}
	if s.satisfied(v, c) && !(deviceChoices{s}).asksDevice(v, c) {
		return s.resume(w, r, v, c)
	}
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	page, err := deviceChoices{s}.deviceNext(r, v, c, held)
	if err != nil {
		return err
	}
	if page != "" {
		return s.goTo(w, r, page, c)
	}
	switch offered := (prospects{s}).offer(v, c, held); {
	case offered.direct != "":
		if r.Method == http.MethodPost && s.Factors.Find(offered.direct) != nil {
			if k := s.walk(v, c, offered.direct, held); !k.several() {
				k.ask(r)
			}
		}
		return s.goTo(w, r, "/challenge/"+string(offered.direct), c)
	case len(offered.factors) > 0:
		return s.goTo(w, r, "/challenge", c)
	case c.Kind == ceremony.Operate:
		return enrolments{s}.stuck(w, r, v, c)
	default:
		return s.goTo(w, r, "/enrol", c)
	}
}

// satisfied tells whether v's session has what c asks for.
func (s *Site) satisfied(v *session.Entry, c ceremony.Continuation) bool {
	if c.Kind == ceremony.Operate {
		return authorised(proofsFor(v, c), c.Once)
	}
	return s.missing(v, c) == 0
}

// goTo sends the browser to a page of the same ceremony.
func (s *Site) goTo(w http.ResponseWriter, r *http.Request, page string, c ceremony.Continuation) error {
	to, err := s.address(page, c)
	if err != nil {
		return err
	}
	return web.Redirect(w, r, s.Web, to)
}

// resume lets the interrupted request go on. Pages of its own it shows on a
// GET only, so that a reload sends nothing again.
func (s *Site) resume(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	switch {
	case c.Kind != ceremony.Return && c.Kind != ceremony.Operate && c.Kind != ceremony.Add && r.Method != http.MethodGet:
		return s.goTo(w, r, "/challenge", c)
	case c.Kind == ceremony.Lost:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "lost", &lostView{View: s.view(w, r, v), Target: locationOf(c.Target)})
	case c.Kind == ceremony.TooLong:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "lost", &lostView{View: s.view(w, r, v), Target: locationOf(c.Target), TooLong: true})
	case c.Kind == ceremony.Kept:
		return keeping{s}.showKept(w, r, v, c)
	case c.Kind == ceremony.Window:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "window", &windowView{View: s.view(w, r, v)})
	default:
		web.Harden(w.Header(), s.Web)
		w.Header().Set("Location", locationOf(c.Target))
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
}

// locationOf writes a target, which was read as one in origin form that does
// not begin with two slashes, so that a browser asks for the same bytes and
// never for another host's (RFC 3986 §4.2; ASVS 5.0 3.7.2).
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

// scope is the factor's view of a ceremony.
func (s *Site) scope(r *http.Request, v *session.Entry, purpose string) factors.Scope {
	scope := s.strangerScope(r, purpose)
	scope.Account, scope.Session = v.Owner.Account, string(v.Session.ID)
	scope.Device = s.devices().Of(r, v.Owner.Account.ID)
	return scope
}

// strangerScope is the scope of a ceremony before anyone is known.
func (s *Site) strangerScope(r *http.Request, purpose string) factors.Scope {
	return factors.Scope{
		Site: s.Place.Origin, SiteName: s.Web.Name, RelyingParty: s.RelyingParty.ID, RelyingPartyName: s.RelyingParty.Name,
		Purpose: purpose, Language: web.Language(r, s.Web), Address: s.Address(r), Now: s.Now().UTC(),
	}
}
