package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

const (
	// withheldFor is how long a Cookie line of which something was withheld
	// is judged alike, without asking the store again.
	withheldFor = time.Second
	// confirmPause is how long the app is not asked again about a session
	// after it has disowned a cookie.
	confirmPause = 5 * time.Second
)

func (v visitor) id() session.ID {
	if v.entry == nil {
		return ""
	}
	return v.entry.Session.ID
}

// bonds are the cookies of the visitor's session; nil for nobody.
func (h *Handler) bonds(ctx context.Context, live *live, v visitor) (*weld.Bonds, error) {
	if v.entry == nil {
		return nil, nil
	}
	if known := v.memo.bonds.Load(); known != nil {
		return known, nil
	}
	return h.readBonds(ctx, live, v)
}

func (h *Handler) readBonds(ctx context.Context, live *live, v visitor) (*weld.Bonds, error) {
	bonds, err := live.weld.Bonds(ctx, v.id())
	if err == nil {
		v.memo.bonds.Store(bonds)
	}
	return bonds, err
}

var errForeign = errors.New("a session cookie of the app that belongs to another session")

// weldRefused tells of a value that is not the visitor's.
func (h *Handler) weldRefused(r *http.Request, v visitor) error {
	e := h.event(r, audit.WeldRefused, v)
	e.Outcome, e.Reason = "refused", "foreign-session"
	h.observe(e)
	return &web.Fail{Status: http.StatusForbidden, Reference: e.Reference, Err: errForeign}
}

// welded leaves of the app's session cookies what is the visitor's, and gives
// a writer that sees the app set others. Nil says that the request has been
// answered.
func (h *Handler) welded(w http.ResponseWriter, r *http.Request, v visitor, d policy.Decision, next caddyhttp.Handler) *welder {
	if !h.form.PassAuthorization() {
		delete(r.Header, "Authorization")
	}
	if r.Body != nil && (r.ContentLength < 0 || r.ContentLength > maxFormBytes) {
		r.Body = h.form.Watch(r.Body, r.Header.Get("Content-Type"))
	}
	live := h.live.Load()
	bonds, err := h.knownBonds(r, live, v)
	if err != nil && !d.Public {
		h.unavailable(w, r, err)
		return nil
	}
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if found := h.form.Cookies().InURL(path, query); len(found) > 0 {
		if live == nil || err != nil || !live.weld.Allowed(r.Context(), found, v.id(), bonds, d.Public) {
			h.fail(w, r, h.weldRefused(r, v))
			return nil
		}
	}
	if live == nil || err != nil {
		h.form.Cookies().Strip(r.Header)
		return h.newWelder(w, r, live, visitor{}, nil)
	}
	h.passCookies(r, live, v, bonds, d.Public, next)
	return h.newWelder(w, r, live, v, bonds)
}

func (h *Handler) knownBonds(r *http.Request, live *live, v visitor) (*weld.Bonds, error) {
	if live == nil {
		return nil, errNotStarted
	}
	bonds, err := h.bonds(r.Context(), live, v)
	return bonds, errors.Join(err, v.err)
}

// passCookies withholds what is not the visitor's. The line of the session's
// last request is remembered.
func (h *Handler) passCookies(r *http.Request, live *live, v visitor, bonds *weld.Bonds, public bool, next caddyhttp.Handler) {
	line := weld.JoinLines(r.Header)
	if line == "" {
		return
	}
	if v.memo != nil {
		if last := v.memo.welded.Load(); last != nil && last[0] == line {
			weld.SetLine(r.Header, last[1])
			return
		}
	}
	passed := live.weld.Pass(r.Context(), line, v.id(), bonds, public)
	if !passed.Own && !public && v.entry != nil {
		passed = h.passAnew(r, live, v, line, passed, next)
	}
	if passed.Foreign {
		h.weldRefused(r, v)
	}
	if passed.Own && v.memo != nil {
		v.memo.welded.Store(&[2]string{line, passed.Line})
	}
	weld.SetLine(r.Header, passed.Line)
}

// passAnew looks again at cookies that are not known to be the session's:
// another node may have bound them since, or the app may say that they are.
func (h *Handler) passAnew(r *http.Request, live *live, v visitor, line string, passed weld.Passed, next caddyhttp.Handler) weld.Passed {
	ctx, now := r.Context(), live.now()
	if last := v.memo.withheld.Load(); last != nil && last.line == line && now.Before(last.until) {
		return passed
	}
	again := func() {
		fresh, err := h.readBonds(ctx, live, v)
		if err != nil {
			h.logger.Error("read bound cookies", zapError(err))
			return
		}
		passed = live.weld.Pass(ctx, line, v.id(), fresh, false)
	}
	again()
	if len(passed.Offered) > 0 && h.confirm(r, live, v, line, passed.Offered, next) {
		again()
	}
	if !passed.Own {
		v.memo.withheld.Store(&withheldLine{line, now.Add(withheldFor)})
	}
	return passed
}

// withheldLine is a Cookie line that was judged not long ago.
type withheldLine struct {
	line  string
	until time.Time
}

// confirm binds values that the app set in this session, if the app says that
// they are the same person's. It tells whether one was bound.
func (h *Handler) confirm(r *http.Request, live *live, v visitor, line string, offered []weld.Cookie, next caddyhttp.Handler) bool {
	ctx, row := r.Context(), v.entry.Session
	if !h.form.ConfirmsLater() || live.now().UnixNano() < v.memo.confirmFrom.Load() {
		return false
	}
	bound := false
	for _, c := range offered {
		who, err := h.form.Who(ctx, h.asker(r, next), join(h.form.Cookies().Others(line), c))
		if err == nil && h.isVisitor(v, who.Source, who.Subject) {
			err = live.weld.Bind(ctx, row.ID, row.EndsAt, []weld.Cookie{c})
			bound = bound || err == nil
			continue
		}
		v.memo.confirmFrom.Store(live.now().Add(confirmPause).UnixNano())
	}
	return bound
}

func (h *Handler) isVisitor(v visitor, source, subject string) bool {
	owner := v.entry.Owner.Account
	return owner.Source == source && owner.Subject == subject && subject != ""
}

// welder sees the app's answer: session cookies that it sets are remembered
// for the session, and a person who comes back from the login page is sent on
// to where they were going.
type welder struct {
	caddyhttp.ResponseWriterWrapper
	handler *Handler
	live    *live
	request *http.Request
	visitor visitor
	bonds   *weld.Bonds
	cookies string // the Cookie line that the app gets
	done    bool
	swapped bool // the app's page is not shown
}

func (h *Handler) newWelder(w http.ResponseWriter, r *http.Request, live *live, v visitor, bonds *weld.Bonds) *welder {
	o := &welder{handler: h, live: live, request: r, visitor: v, bonds: bonds}
	o.ResponseWriter = w
	if len(r.Header["Cookie"]) == 1 {
		o.cookies = r.Header["Cookie"][0]
	}
	return o
}

// finish looks, after a request that may have changed something, whether the
// app still takes its cookie for this person's, where it is an app that keeps
// a cookie while somebody signs in: they may have done so at an endpoint that
// nobody named. If it does not, or cannot say, the session ends.
func (o *welder) finish(next caddyhttp.Handler) {
	if o.visitor.entry == nil || safeMethod(o.request.Method) || !o.handler.form.ConfirmsLater() || !o.live.weld.Kept(o.bonds) {
		return
	}
	ctx := context.WithoutCancel(o.request.Context())
	who, err := o.handler.form.Who(ctx, o.handler.asker(o.request, next), o.cookies)
	if errors.Is(err, legacyform.ErrNobody) || err == nil && o.handler.isVisitor(o.visitor, who.Source, who.Subject) {
		return
	}
	o.handler.weldRefused(o.request, o.visitor)
	// The answer is under way: the session's cookie stays, and opens nothing.
	if err := o.live.runtime.sessions.End(ctx, newHeld(), o.live.ceremonies.Place, o.visitor.entry); err != nil {
		o.handler.logger.Error("end a session whose cookie is somebody else's", zapError(err))
	}
}

func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || method == http.MethodTrace
}

func (o *welder) WriteHeader(status int) {
	if o.done || o.visitor.entry == nil || status < 200 && status != http.StatusSwitchingProtocols {
		if !o.swapped {
			o.ResponseWriter.WriteHeader(status)
		}
		return
	}
	o.done = true
	header := o.Header()
	if header["Set-Cookie"] != nil {
		o.issued(status, header)
	}
	if o.visitor.going != nil && status == http.StatusOK && landing(o.request) && strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "text/html") {
		o.swap(header)
		return
	}
	o.ResponseWriter.WriteHeader(status)
}

// issued remembers, or binds, what the app sets in the middle of a session.
func (o *welder) issued(status int, header http.Header) {
	ctx, row, h := o.request.Context(), o.visitor.entry.Session, o.handler
	var fresh []weld.Cookie
	for _, c := range h.form.Cookies().Issued(header, o.live.now()) {
		if !o.live.weld.Mine(o.bonds, c) {
			fresh = append(fresh, c)
		}
	}
	var err error
	if who, nobody := h.form.Named(status, header); nobody == nil && h.isVisitor(o.visitor, who.Source, who.Subject) {
		err = o.live.weld.Bind(ctx, row.ID, row.EndsAt, fresh)
	} else if h.form.ConfirmsLater() {
		err = o.live.weld.Offer(ctx, row.ID, row.EndsAt, fresh)
	}
	if err != nil {
		h.logger.Error("remember cookies of the app", zapError(err))
	}
	if err := o.live.weld.SealAnswer(header, row.ID); err != nil {
		delete(header, "Set-Cookie")
		h.logger.Error("seal cookies of the app", zapError(err))
	}
}

// swap sends the person on in place of the page on which the app's sign-in
// ended.
func (o *welder) swap(header http.Header) {
	for name := range header {
		if strings.HasPrefix(name, "Content-") || name == "Etag" || name == "Last-Modified" || name == "Cache-Control" || name == "Expires" {
			delete(header, name)
		}
	}
	o.swapped = true
	o.handler.resume(o.ResponseWriter, o.request, o.live, o.visitor)
}

func (o *welder) Write(p []byte) (int, error) {
	if o.swapped {
		return len(p), nil
	}
	return o.ResponseWriter.Write(p)
}

// ReadFrom goes round Write in the embedded wrapper, so it is here as well.
func (o *welder) ReadFrom(r io.Reader) (int64, error) {
	if o.swapped {
		return io.Copy(io.Discard, r)
	}
	return o.ResponseWriterWrapper.ReadFrom(r)
}
