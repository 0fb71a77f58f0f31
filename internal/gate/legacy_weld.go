package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
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
func (h *Handler) bonds(ctx context.Context, live *Live, v visitor) (*weld.Bonds, error) {
	if v.entry == nil {
		return nil, nil
	}
	if known := v.memo.bonds.Load(); known != nil {
		return known, nil
	}
	return h.readBonds(ctx, live, v)
}

func (h *Handler) readBonds(ctx context.Context, live *Live, v visitor) (*weld.Bonds, error) {
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
// what looks at the app's answer. Nil says that the request has been answered.
func (h *Handler) welded(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision, next Next) *welder {
	token, bears := weld.BearerToken(r.Header)
	if bears = bears && h.Form.Bears(); bears || !h.Form.PassAuthorization() {
		delete(r.Header, "Authorization")
	}
	if r.Body != nil && (r.ContentLength < 0 || r.ContentLength > maxFormBytes) {
		r.Body = h.Form.Watch(r.Body, r.Header.Get("Content-Type"))
	}
	live := h.live.Load()
	bonds, err := h.knownBonds(r, live, v)
	if err != nil && !d.Public {
		h.unavailable(w, r, err)
		return nil
	}
	found := h.elsewhereIDs(r, p)
	if len(found) > 0 {
		if live == nil || err != nil || !live.weld.Allowed(r.Context(), found, v.id(), bonds, d.Public) {
			h.fail(w, r, h.weldRefused(r, v))
			return nil
		}
	}
	known := live != nil && err == nil
	if tokens := h.elsewhereTokens(r, p); len(tokens) > 0 && (!known || !h.passTokens(r, live, v, bonds, tokens, d.Public, next)) {
		h.fail(w, r, h.weldRefused(r, v))
		return nil
	}
	if !known {
		h.Form.Cookies().Strip(r.Header)
		return h.newWelder(r, live, visitor{}, nil)
	}
	if bears && h.passToken(r, live, v, bonds, token, d.Public, next) {
		r.Header["Authorization"] = []string{"Bearer " + token}
	}
	line := weld.JoinLines(r.Header)
	passed := h.passCookies(r, live, v, bonds, d.Public, next)
	o := h.newWelder(r, live, v, bonds)
	o.next, o.strange = next, passed.Strange || d.Public && (bears || len(found) > 0)
	changes := changesPerson(r)
	if changes {
		*r = *r.WithContext(outlasting(r.Context()))
	}
	for _, c := range found {
		if live.weld.Mine(bonds, c) {
			passed.Mine = true
			o.elsewhere = append(o.elsewhere, c)
		}
	}
	if passed.Mine && h.Form.ConfirmsLater() {
		if err := o.queue(d); err != nil {
			h.fail(w, r, err)
			return nil
		}
	}
	if changes && (passed.Strange || len(found) > 0) {
		if err := o.show(line, found, d); err != nil {
			o.leave()
			h.fail(w, r, err)
			return nil
		}
	}
	for _, c := range o.elsewhere { // the app is asked by a cookie
		o.cookies = join(o.cookies, c)
	}
	return o
}

// elsewhereIDs are the app's session ids that a request has in its targets and
// its form.
func (h *Handler) elsewhereIDs(r *http.Request, p *passage) []weld.Cookie {
	names := h.Form.Cookies()
	found := names.InURL(p.sent.RawPath(), p.sent.RawQuery())
	if path, query, _ := strings.Cut(r.RequestURI, "?"); path != p.sent.RawPath() || query != p.sent.RawQuery() {
		found = append(found, names.InURL(path, query)...)
	}
	if seen := p.seen(r); seen.Form != nil {
		contentType, body, _ := seen.Form()
		found = append(found, names.InForm(contentType, body)...)
	}
	return found
}

func (h *Handler) knownBonds(r *http.Request, live *Live, v visitor) (*weld.Bonds, error) {
	if live == nil {
		return nil, errNotStarted
	}
	bonds, err := h.bonds(r.Context(), live, v)
	return bonds, errors.Join(err, v.err)
}

// passCookies withholds what is not the visitor's. The line of the session's
// last request is remembered.
func (h *Handler) passCookies(r *http.Request, live *Live, v visitor, bonds *weld.Bonds, public bool, next Next) (passed weld.Passed) {
	line := weld.JoinLines(r.Header)
	if line == "" {
		return passed
	}
	if v.memo != nil {
		if last := v.memo.welded.Load(); last != nil && last.line == line {
			weld.SetLine(r.Header, last.passed.Line)
			return last.passed
		}
	}
	passed = live.weld.Pass(r.Context(), line, v.id(), bonds, public)
	if !passed.Own && !public && v.entry != nil {
		passed = h.passAnew(r, live, v, line, passed, next)
	}
	if passed.Foreign {
		h.weldRefused(r, v)
	}
	if passed.Own && v.memo != nil {
		v.memo.welded.Store(&weldedLine{line, passed})
	}
	weld.SetLine(r.Header, passed.Line)
	return passed
}

// weldedLine is a Cookie line of which all that counts is the session's own,
// as it came and as it passes.
type weldedLine struct {
	line   string
	passed weld.Passed
}

// passAnew looks again at cookies that are not known to be the session's:
// another node may have bound them since, or the app may say that they are.
func (h *Handler) passAnew(r *http.Request, live *Live, v visitor, line string, passed weld.Passed, next Next) weld.Passed {
	ctx, now := r.Context(), live.now()
	if last := v.memo.withheld.Load(); last != nil && last.line == line && now.Before(last.until) {
		return passed
	}
	again := func() {
		fresh, err := h.readBonds(ctx, live, v)
		if err != nil {
			h.Log.Error("read bound cookies", zap.Error(err))
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
func (h *Handler) confirm(r *http.Request, live *Live, v visitor, line string, offered []weld.Cookie, next Next) bool {
	ctx, row := r.Context(), v.entry.Session
	if !h.Form.ConfirmsLater() || live.now().UnixNano() < v.memo.confirmFrom.Load() {
		return false
	}
	// No login and no other sign-in may come between the app's word and the bond.
	done, err := live.Turns.Logins(ctx, live.weld.Carried("", v.id(), offered))
	if err != nil {
		return false
	}
	defer done()
	bound := false
	for _, c := range offered {
		who, err := h.Form.Who(ctx, h.asker(r, next), join(h.Form.Cookies().Others(line), c))
		if err == nil && h.isVisitor(ctx, live, v, who) {
			err = h.bind(ctx, live, row, []weld.Cookie{c})
			bound = bound || err == nil
			continue
		}
		v.memo.confirmFrom.Store(live.now().Add(confirmPause).UnixNano())
	}
	return bound
}

// isVisitor tells whether the app means the visitor: by a name that has led to
// their account before, byte for byte. What it was for is remembered.
func (h *Handler) isVisitor(ctx context.Context, live *Live, v visitor, who signin.Identity) bool {
	if known := v.memo.named.Load(); known != nil && *known == who.Username {
		return true
	}
	same, err := live.People.SameName(ctx, v.entry.Owner.Account, who)
	if err != nil {
		h.Log.Error("read which account a name has led to", zap.Error(err))
	}
	if same {
		v.memo.named.Store(&who.Username)
	}
	return same
}

// issued remembers, or binds, what the app sets in the middle of a session. It
// remembers nothing where the app was shown a cookie that is nobody's: it may
// answer whoever that is, and call them as it calls the visitor.
func (o *welder) issued(status int, header http.Header) {
	ctx, row, h := o.request.Context(), o.visitor.entry.Session, o.handler
	var fresh []weld.Cookie
	for _, c := range h.Form.Cookies().Issued(header, o.live.now()) {
		if !o.live.weld.Mine(o.bonds, c) {
			fresh = append(fresh, c)
		}
	}
	var err error
	if who, nobody := h.Form.Named(status, header); nobody == nil && h.isVisitor(ctx, o.live, o.visitor, who) {
		err = h.bind(ctx, o.live, row, fresh)
	} else if h.Form.ConfirmsLater() && !o.strange {
		err = o.live.weld.Offer(ctx, row.ID, row.EndsAt, fresh)
	}
	if err != nil {
		h.Log.Error("remember cookies of the app", zap.Error(err))
	}
	if err := o.live.weld.SealAnswer(header, row.ID); err != nil {
		delete(header, "Set-Cookie")
		h.Log.Error("seal cookies of the app", zap.Error(err))
	}
}

// bind ties values to a session, and ends the sessions that had one of them
// before.
func (h *Handler) bind(ctx context.Context, live *Live, row session.Session, values []weld.Cookie) error {
	others, err := live.weld.Bind(ctx, row.ID, row.EndsAt, values)
	return errors.Join(err, h.endAll(ctx, live, others))
}

// regiven ends the sessions that have a value which the app gives somebody
// else in this answer.
func (h *Handler) regiven(ctx context.Context, live *Live, v visitor, header http.Header) error {
	if header["Set-Cookie"] == nil {
		return nil
	}
	others, err := live.weld.Holders(ctx, v.id(), h.Form.Cookies().Issued(header, live.now()))
	return errors.Join(err, h.endAll(ctx, live, others))
}

func (h *Handler) endAll(ctx context.Context, live *Live, others []session.ID) (err error) {
	for _, id := range others {
		live.Turns.End(id, live.now().Add(weld.Kept), live.now())
		err = errors.Join(err, live.Sessions.EndID(ctx, id))
	}
	return err
}
