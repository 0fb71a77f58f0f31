package challenge

import (
	"errors"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
)

// keeping is the ceremony of requests that wait for their challenge.
type keeping struct{ *Site }

// maxDescribed is how long a target may be that a continuation carries only
// to describe the request, in bytes.
const maxDescribed = 1 << 10

// How much of a body that is not kept is still read, in bytes, and for how
// long.
const (
	maxDrained = 64 << 20
	drainFor   = 30 * time.Second
)

// keep turns the continuation of a POST into that of a kept request where it
// may be kept, and into that of a lost one otherwise, which also comes with
// every error: kept.ErrTooLarge, what became of a request that was kept
// before, or a technical one.
func (s keeping) keep(w http.ResponseWriter, r *http.Request, i Interrupted, c ceremony.Continuation) (ceremony.Continuation, error) {
	lost := c
	lost.Kind, lost.Target = ceremony.Lost, interruptions(s).referringPage(r.Referer())
	if i.KeptErr != nil {
		return lost, i.KeptErr
	}
	if i.Kept != nil {
		// It may have been sent on since, by another click.
		q, err := s.Kept.Find(r.Context(), i.Kept.ID, s.visitorAsOwner(w, r, i.Visitor))
		if err != nil {
			return lost, err
		}
		return keptAs(c, q, lost.Target), nil
	}
	owner, err := s.mayKeep(w, r, i.Visitor)
	if err != nil || owner.Account == "" {
		return lost, err
	}
	q, err := s.Kept.Keep(r, owner, i.Target, s.keptEvent(r, owner.Account, i))
	switch {
	case errors.Is(err, kept.ErrFull), errors.Is(err, kept.ErrCut), errors.Is(err, account.ErrNotFound):
		return lost, nil
	case err != nil:
		return lost, err
	}
	return keptAs(c, q, lost.Target), nil
}

// keptAs is the continuation of a kept request. What it needs beside the ID is
// in the store; the target is there to describe it.
func keptAs(c ceremony.Continuation, q kept.Request, back string) ceremony.Continuation {
	c.ID, c.Kind, c.Once, c.Back = string(q.ID), ceremony.Kept, q.ID.Once(), back
	if len(c.Target) > maxDescribed {
		c.Target = ""
	}
	if len(c.Back) > maxDescribed {
		c.Back = "/"
	}
	return c
}

// drain reads on where a body is not kept: with HTTP/1 a browser that is
// answered while it still sends shows a broken connection, and not the answer.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.Body == nil || r.Header.Get("Expect") != "" {
		return
	}
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainFor)) == nil {
		io.CopyN(io.Discard, r.Body, maxDrained)
	}
}

// mayKeep tells for whom a request may be kept: a form that a page of this
// very site sent, from a browser that has, or had not long ago, somebody's
// session. A form that another site made the browser send never may, or a
// button of ours would carry it on (contract, section 4).
func (s keeping) mayKeep(w http.ResponseWriter, r *http.Request, v *session.Entry) (kept.Owner, error) {
	if r.Method != http.MethodPost || s.Kept.Max <= 0 || !s.Guard.SameOrigin(r) {
		return kept.Owner{}, nil
	}
	if v != nil {
		return s.keptOwner(w, r, v.Owner.Account.ID), nil
	}
	last, err := s.Sessions.Last(r.Context(), r.Header, s.Place)
	if err != nil || last == "" {
		return kept.Owner{}, err
	}
	return s.keptOwner(w, r, last), nil
}

// keptOwner is an account in this browser. The browser is known by what the
// forms of strangers are bound to, which outlives every session.
func (s keeping) keptOwner(w http.ResponseWriter, r *http.Request, id account.ID) kept.Owner {
	return kept.Owner{Account: id, Browser: kept.BrowserOf(s.Guard.Visit(w, r)), Site: s.Place.Origin}
}

func (s keeping) visitorAsOwner(w http.ResponseWriter, r *http.Request, v *session.Entry) kept.Owner {
	if v == nil {
		return s.keptOwner(w, r, "")
	}
	return s.keptOwner(w, r, v.Owner.Account.ID)
}

func (s keeping) keptEvent(r *http.Request, owner account.ID, i Interrupted) audit.Event {
	e := s.event(r, audit.RequestKept, i.Visitor)
	e.Account, e.Reference, e.Levels = string(owner), i.Reference, i.Names
	return e
}

// Continue finds the kept request that the Continue button of a page names.
// It returns nil and false for every other request; true where it has
// answered. Its levels are not judged yet, and nothing is sent: no method is safe
// to send twice by itself (RFC 9110 §9.2).
func (s *Site) Continue(w http.ResponseWriter, r *http.Request, v *session.Entry, target string) (*kept.Request, bool, error) {
	id, ok := kept.Named(r)
	if !ok {
		return nil, false, nil
	}
	if !web.Navigation(r) || !s.Guard.SameOrigin(r) {
		return nil, true, &web.Fail{Status: http.StatusForbidden, Err: web.ErrCrossSite}
	}
	q, err := s.Kept.Find(r.Context(), id, keeping{s}.visitorAsOwner(w, r, v))
	if err == nil && (q.Method != r.Method || q.Target != target) {
		err = kept.ErrGone
	}
	if err != nil {
		return nil, true, keeping{s}.over(w, r, v, err, "/")
	}
	if v == nil {
		c := keptAs(ceremony.Continuation{Method: q.Method, Target: q.Target, At: s.Now().UTC()}, q, interruptions{s}.referringPage(q.Header.Get("Referer")))
		return nil, true, s.goTo(w, r, "/sign-in", c)
	}
	return &q, false, nil
}

// showKept shows what was interrupted, with the button that sends it on.
func (s keeping) showKept(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	q, err := s.Kept.Find(r.Context(), kept.ID(c.ID), s.visitorAsOwner(w, r, v))
	if err != nil {
		return s.over(w, r, v, err, c.Back)
	}
	path, _, _ := strings.Cut(q.Target, "?")
	// The app's answer may lead anywhere, as it would have without us, and
	// browsers hold redirects after a form to the page's form-action.
	site := *s.Web
	site.FormTargets = append(slices.Clone(site.FormTargets), "https:", "http:")
	return s.Pages.Render(w, r, &site, http.StatusOK, "continue", &continueView{
		View: s.view(w, r, v), Request: q, Path: path, Action: actionOf(q.Target), Back: locationOf(c.Back),
	})
}

// actionOf is the attribute of a form that leads to a target. html/template
// would write some bytes of an address in another way, and the upstream is to
// get those that the browser sent at first.
func actionOf(target string) template.HTMLAttr {
	return template.HTMLAttr(`action="` + template.HTMLEscapeString(target) + `"`)
}

// over is the end of a kept request that cannot be sent on: what became of it,
// in words. Errors that say nothing of that are returned.
func (s keeping) over(w http.ResponseWriter, r *http.Request, v *session.Entry, cause error, back string) error {
	view := &overView{View: s.view(w, r, v), Back: locationOf(back), Reference: audit.NewReference()}
	status := http.StatusGone
	switch {
	case errors.Is(cause, kept.ErrContinued):
		status, view.Text = http.StatusConflict, "continued"
	case errors.Is(cause, kept.ErrOther):
		status, view.Text = http.StatusForbidden, "other"
	case errors.Is(cause, kept.ErrGone):
		view.Text = "gone"
	default:
		return s.unavailable(cause)
	}
	e := s.event(r, audit.SequenceFail, v)
	e.Reference, e.Outcome, e.Reason = view.Reference, "refused", "kept-"+view.Text
	s.Recorder.Observe(e)
	return s.Pages.Render(w, r, s.Web, status, "over", view)
}

// tooLarge says that nothing was sent, and where to go to confirm first.
func (s keeping) tooLarge(w http.ResponseWriter, r *http.Request, i Interrupted, c ceremony.Continuation) error {
	door, err := s.Door(i.Visitor, c)
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, s.Web, http.StatusRequestEntityTooLarge, "over", &overView{
		View: s.view(w, r, i.Visitor), Text: "large", Back: door, Reference: i.Reference,
	})
}

// continueView is the view of continue.html.
type continueView struct {
	web.View
	kept.Request
	// Path is the target without its query, Action the form's attribute.
	Path   string
	Action template.HTMLAttr
	Back   string
}

// Field is the name of the form's only field.
func (v *continueView) Field() string { return kept.Field }

// Large is the size in a unit that people use, or empty where that is bytes.
func (v *continueView) Large() string {
	if v.Length < 1000 {
		return ""
	}
	return humanize.Bytes(uint64(v.Length))
}

// Bytes is the size where it is not large.
func (v *continueView) Bytes() int { return int(v.Length) }

// overView is the view of over.html.
type overView struct {
	web.View
	// Text says which of the ends it is.
	Text string
	Back string
	// Reference is what the audit trail has it under.
	Reference string
}
