package gate

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// sight tells what a request is to the app's own login form, on sites that
// watch one. A path that the policy denies is denied all the same.
func (h *Handler) sight(r *http.Request, p *passage, d policy.Decision) legacyform.Sight {
	if h.Form == nil || d.Outcome == policy.Deny && d.Reason == policy.ReasonPathDenied {
		return legacyform.Elsewhere
	}
	return h.Form.Sight(p.seen(r))
}

// seen is the request as the form looks at it.
func (p *passage) seen(r *http.Request) *legacyform.Seen {
	seen := &legacyform.Seen{
		Method: r.Method, Claimed: len(p.request.Claimed) > 0, Target: &p.sent, Encoded: r.Header["Content-Encoding"] != nil, Types: r.Header["Content-Type"],
	}
	if r.ContentLength != 0 {
		seen.Form = p.request.Form
		seen.Body = func() (string, []byte, bool) { return p.textual(r) }
	}
	return seen
}

// login lets a request reach the app's login, or refuses it.
func (h *Handler) login(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision, sight legacyform.Sight, next Next) error {
	if p.kept != nil { // no login is ever kept: the form was configured since
		return h.fail(w, r, &web.Fail{Status: http.StatusConflict, Err: errKeptLogin})
	}
	open := policy.Decision{Outcome: policy.Allow, Public: true}
	switch sight {
	case legacyform.Submit:
		return h.submit(w, r, p, v, next)
	case legacyform.LoginPage:
		v.going = nil // who is on the login page has not been let in yet
		if v.entry != nil && d.Outcome == policy.Allow && d.Once == 0 {
			open = d
		} else {
			// The app shows its form, and not what its path shows to somebody
			// of whom more is wanted.
			if v.entry != nil {
				h.Form.Cookies().Strip(r.Header)
			}
			v = visitor{err: v.err}
		}
		h.prepare(r, p, v, open)
		return h.watch(w, r, p, v, open, next)
	case legacyform.SignOut:
		v.going = nil
		h.prepare(r, p, v, open)
		if v.entry != nil {
			p.leave = &leaving{handler: h, visitor: v, below: d.Outcome != policy.Allow}
		}
		return h.watch(w, r, p, v, open, next)
	default:
		e := h.event(r, audit.InputRefused, v)
		e.Outcome, e.Reason = "refused", "login-elsewhere"
		h.observe(e)
		return h.fail(w, r, &web.Fail{Status: http.StatusForbidden, Reference: e.Reference, Err: legacyform.ErrStray})
	}
}

// fromThisSite tells whether a page of this origin sent a form, or the
// request does not say (RFC 9110 §10.1.3, Fetch Metadata §2).
func (h *Handler) fromThisSite(header http.Header) bool {
	if site, said := header["Sec-Fetch-Site"]; said {
		return len(site) == 1 && (site[0] == "same-origin" || site[0] == "none")
	}
	if origin, said := header["Origin"]; said {
		return len(origin) == 1 && origin[0] == h.Origin
	}
	referer := header.Get("Referer")
	return referer == "" || strings.HasPrefix(referer, h.Origin+"/")
}

// leaving is an answer of the app's own sign-out: with it the session ends.
type leaving struct {
	handler *Handler
	visitor visitor
	// below says that the visitor does not meet the levels of the path: of the
	// answer no more is shown than that it was a sign-out.
	below bool
}

// endSession takes the session away with an answer to a sign-out that is no
// error: an app that refuses to sign out keeps its person.
func (a *Answer) endSession(h http.Header) fate {
	l := a.leave
	switch {
	case l == nil:
		return goes
	case a.status < 200:
		if l.below {
			return stays
		}
		return goes
	}
	if a.status < 400 {
		l.end(a.ResponseWriter, a.Request)
	}
	if l.below {
		a.status, a.bodiless = l.hide(a.status, h), true
	}
	return goes
}

// hide leaves of an answer its cookies and where it leads.
func (l *leaving) hide(status int, h http.Header) int {
	for name := range h {
		if name != "Set-Cookie" && name != "Location" {
			delete(h, name)
		}
	}
	if status >= 400 || h.Get("Location") != "" {
		return status
	}
	h.Set("Location", l.handler.Form.LoginTarget())
	return http.StatusSeeOther
}

func (l *leaving) end(w http.ResponseWriter, r *http.Request) {
	live, row := l.handler.live.Load(), l.visitor.entry.Session
	live.Turns.End(row.ID, row.EndsAt, live.now())
	if err := live.Ceremonies.Leave(r.Context(), w, r, l.visitor.entry); err != nil {
		l.handler.Log.Error("end the session of somebody who signed out in the app", zap.Error(err))
	}
}

var errNotStarted = errors.New("the site has not started")

// going is where the visitor was going before the app's own login page.
func (h *Handler) going(live *Live, r *http.Request) *ceremony.Continuation {
	if h.Form == nil {
		return nil
	}
	return live.Ceremonies.Waiting(r)
}

// resume sends the visitor on to where they were going.
func (h *Handler) resume(w http.ResponseWriter, r *http.Request, live *Live, v visitor) error {
	if err := live.Ceremonies.Resume(w, r, *v.going); err != nil {
		return h.fail(w, r, err)
	}
	return nil
}

// landing tells whether a request shows a page in a window of its own.
func landing(r *http.Request) bool { return r.Method == http.MethodGet && web.Navigation(r) }

func (h *Handler) newWeld(l *Live) *weld.Weld {
	if h.Form == nil {
		return nil
	}
	return &weld.Weld{
		Store: l.Store, Ring: l.Ring, Site: h.Origin, Names: h.Form.Cookies(), Sealed: h.Form.SealCookies(), Turns: l.Turns, Now: time.Now,
	}
}
