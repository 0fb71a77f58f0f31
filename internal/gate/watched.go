package gate

import (
	"errors"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// This file leads to package watched, on sites that watch the app's own login
// form, and decides what of its answers somebody may see.

// logins is the app's own login form.
type logins struct{ *Handler }

// sight tells what a request is to the app's own login form, on sites that
// watch one. A path that the policy denies is denied all the same.
func (h logins) sight(r *http.Request, p *passage, d policy.Decision) legacyform.Sight {
	if h.Form == nil || d.Outcome == policy.Deny && d.Reason == policy.ReasonPathDenied {
		return legacyform.Elsewhere
	}
	return h.Form.Sight(p.see(r))
}

// see is the request as the form looks at it.
func (p *passage) see(r *http.Request) *legacyform.Seen {
	if p.seen.Target == nil {
		p.seen = legacyform.Seen{
			Method: r.Method, Claimed: len(p.request.Claimed) > 0, Target: &p.sent, Encoded: r.Header["Content-Encoding"] != nil, Types: r.Header["Content-Type"],
		}
		if r.ContentLength != 0 {
			p.seen.Form = p.request.Form
			p.seen.Body = func() (string, []byte, bool) { return p.textual(r) }
		}
	}
	return &p.seen
}

// login lets a request reach the app's login, or refuses it.
func (h logins) login(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision) error {
	if p.kept != nil { // no login is ever kept: the form was configured since
		return h.fail(w, r, &web.Fail{Status: http.StatusConflict, Err: errKeptLogin})
	}
	open := policy.Decision{Outcome: policy.Allow, Public: true}
	switch p.sight {
	case legacyform.Submit:
		return h.submit(w, r, p, v)
	case legacyform.LoginPage:
		p.login = true
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
	case legacyform.SignOut:
		v.going = nil
		if v.entry != nil {
			p.leave = &watched.Leaving{Site: h.live.Load().watched, Visitor: v.watched(), Below: d.Outcome != policy.Allow}
		}
	default:
		e := trail(h).event(r, audit.InputRefused, v)
		e.Outcome, e.Reason = "refused", "login-elsewhere"
		trail(h).observe(e)
		return h.fail(w, r, &web.Fail{Status: http.StatusForbidden, Reference: e.Reference, Err: legacyform.ErrStray})
	}
	h.prepare(r, p, v, open)
	return h.watch(w, r, p, v, open)
}

// submit lets a name and a password reach the app.
func (h logins) submit(w http.ResponseWriter, r *http.Request, p *passage, v visitor) error {
	live := h.live.Load()
	if live == nil || v.err != nil {
		return h.unavailable(w, r, errors.Join(errNotStarted, v.err))
	}
	q := watched.Request{HTTP: r, Visitor: v.watched(), Seen: p.see(r), Next: p.next}
	p.login = true // also where the answer is the form once more
	page := scripts(h).page(r, p, v)
	if page != nil {
		q.Adds = func(status int, header http.Header, to io.Writer) io.WriteCloser {
			if !page.Prepare(status, header) {
				return nil
			}
			return page.Body(to)
		}
	}
	return live.watched.Submit(w, q, arrival{h, w, r, p, v, page}.show)
}

var errNotStarted = errors.New("the site has not started")

// hold leaves of a request what is its visitor's, and gives what looks at the
// app's answer; nil where no form is watched. Its error is for a page.
func (h logins) hold(r *http.Request, p *passage, v visitor, d policy.Decision) (*watched.Answer, error) {
	if h.Form == nil {
		return nil, nil
	}
	if r.Body != nil && (r.ContentLength < 0 || r.ContentLength > maxFormBytes) {
		r.Body = h.Form.Watch(r.Body, r.Header.Get("Content-Type"))
	}
	a := p.weld
	q := watched.Request{HTTP: r, Visitor: v.watched(), Seen: p.see(r), Next: p.next, Lost: v.err != nil, Public: d.Public, Changes: p.changesPerson(r)}
	live := h.live.Load()
	if live == nil {
		return a, h.newWatched(nil).Hold(a, q)
	}
	q.Stake = d.Needed&^live.password != 0
	return a, live.watched.Hold(a, q)
}

// changesPerson tells whether a request may make the app take a cookie for
// somebody else's.
func (p *passage) changesPerson(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		return true
	}
	return !p.unclaimed && claimsMethod(r.Header)
}

// newWatched is the watched login; nil where none is. Without a live site it is
// one that knows nothing of anybody.
func (h logins) newWatched(l *Live) *watched.Site {
	if h.Form == nil {
		return nil
	}
	s := &watched.Site{Form: h.Form, Asker: h.asker(), Gate: around(h), Log: h.Log, Now: time.Now}
	if l == nil {
		return s
	}
	s.Weld = &weld.Weld{
		Store: l.Store, Ring: l.Ring, Site: h.Origin, Names: h.Form.Cookies(), Sealed: h.Form.SealCookies(), Turns: l.Turns, Now: time.Now,
	}
	s.Turns, s.Names, s.Sessions, s.Ceremonies, s.Place = l.Turns, l.People, l.Sessions, l.Ceremonies, l.Ceremonies.Place
	s.Ledger, s.Recorder = l.Ledger, l.Recorder
	return s
}

// asker asks the app in the gateway's own name.
func (h *Handler) asker() watched.Asker { return watched.Asker{Origin: h.Origin, Server: h.Server} }

// watched is the visitor as package watched knows them.
func (v visitor) watched() watched.Visitor {
	if v.entry == nil {
		return watched.Visitor{}
	}
	return watched.Visitor{Entry: v.entry, Memo: &v.memo.watched}
}

// around is the gate as package watched asks it.
type around struct{ *Handler }

// Event implements watched.Gate.
func (a around) Event(r *http.Request, name audit.Name, e *session.Entry) audit.Event {
	return trail(a).event(r, name, visitor{entry: e})
}

// Observe implements watched.Gate.
func (a around) Observe(e audit.Event) { trail(a).observe(e) }

// Withhold implements watched.Gate.
func (around) Withhold(h http.Header) { WithholdRequestCookies(h) }

// Correct implements watched.Gate.
func (around) Correct(h http.Header) { CorrectHeader(h) }

var _ watched.Gate = around{}

// going is where the visitor was going before the app's own login page.
func (h logins) going(live *Live, r *http.Request) *ceremony.Continuation {
	if h.Form == nil {
		return nil
	}
	return live.Ceremonies.Waiting(r)
}

// resume sends the visitor on to where they were going.
func (h logins) resume(w http.ResponseWriter, r *http.Request, live *Live, v visitor) error {
	if err := live.Ceremonies.Resume(w, r, *v.going); err != nil {
		return h.fail(w, r, err)
	}
	return nil
}

// landing tells whether a request shows a page in a window of its own.
func landing(r *http.Request) bool { return r.Method == http.MethodGet && web.Navigation(r) }

// arrival is a submit of the form by which somebody may get a session.
type arrival struct {
	h       logins
	w       http.ResponseWriter
	r       *http.Request
	p       *passage
	visitor visitor // before it
	page    *inject.Page
}

// show sends the answer to somebody with a session: as it is where the levels
// of its path are met, else a redirect without its body, and in place of a
// page the way to these levels.
func (a arrival) show(e *session.Entry, answer *watched.Held) http.ResponseWriter {
	h, live := a.h, a.h.live.Load()
	v := a.visitor
	if e != v.entry {
		v = visitor{entry: e, memo: visitors(h).memo(e, live.now())}
	}
	if a.page != nil && a.page.Shown {
		a.page.Login = false
		a.page.Mark, a.page.Ends = e.Session.Mark(), live.Sessions.ExpiresIn(e)
	}
	var page passage
	d := a.decide(&page, v)
	// A script that signs somebody in needs the app's answer; the next page
	// leads on.
	going, leads := a.visitor.going != nil && web.Navigation(a.r), answer.Leads()
	switch {
	case d.Outcome == policy.Allow && (leads || !going):
		return answer.Pass(a.w)
	case leads:
		answer.PassHeader(a.w)
		return nil
	}
	a.w.Header()["Set-Cookie"] = append(a.w.Header()["Set-Cookie"], answer.Cookies()...)
	if d.Outcome == policy.Deny && !going {
		h.deny(a.w, a.r, &page, v, d)
		return nil
	}
	if !web.Navigation(a.r) && d.Outcome == policy.StepUp {
		v.going = nil
		if err := h.begin(a.w, a.r, a.p, v, d); err != nil {
			h.Log.Error("ask a script for more proof", zap.Error(err))
		}
		return nil
	}
	v.going = a.visitor.going
	if !going {
		v.going = &ceremony.Continuation{
			ID: ceremony.NewID(), Kind: ceremony.Return, Target: a.p.sent.Target(), Needs: d.Needed,
			Policy: h.Policy.Fingerprint(), Method: http.MethodGet, At: live.now().UTC(),
		}
	}
	h.resume(a.w, a.r, live, v)
	return nil
}

// decide judges the page that the app has answered with, which is what a GET
// of the same target would show.
func (a arrival) decide(page *passage, v visitor) policy.Decision {
	page.sent, page.others, page.body = a.p.sent, a.p.others, a.p.body
	for i := range a.p.request.Also {
		page.also[i] = &page.others[i]
	}
	page.request.Also = page.also[:len(a.p.request.Also)]
	q := page.facts(a.h.Handler, a.r, v)
	q.Claimed = append(q.Claimed, http.MethodGet)
	return a.h.Policy.Decide(q)
}
