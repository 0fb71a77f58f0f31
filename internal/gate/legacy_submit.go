package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// watchedLogin is one submit of the app's form on its way there and back.
type watchedLogin struct {
	*Handler
	live    *Live
	w       http.ResponseWriter
	r       *http.Request
	p       *passage
	visitor visitor
	ask     legacyform.Ask
	login   legacyform.Login
	receipt throttle.Receipt
	// sent are the browser's cookies, before those of ours were taken out.
	sent    []string
	answer  *held
	passed  bool // to the app
	decided bool
	turn    *weld.Turn // nil for somebody without a session
	done    func()     // lets other logins have the values that it carries
	values  []weld.Hash
	holders []session.ID
}

// submit lets a name and a password reach the app, and makes a session of it
// if the app lets the person in.
func (h *Handler) submit(w http.ResponseWriter, r *http.Request, p *passage, v visitor, next Next) error {
	live := h.live.Load()
	if live == nil || v.err != nil {
		return h.unavailable(w, r, errors.Join(errNotStarted, v.err))
	}
	l := &watchedLogin{Handler: h, live: live, w: w, r: r, p: p, visitor: v, ask: h.asker(r, next), sent: slices.Clone(r.Header["Cookie"]), answer: newHeld()}
	if err := l.admit(); err != nil {
		return h.fail(w, r, err)
	}
	if v.entry != nil {
		var err error
		if l.turn, err = live.Turns.Change(r.Context(), v.id()); err != nil {
			return h.fail(w, r, errors.Join(waitedInVain(err), live.Ledger.Refund(r.Context(), l.receipt)))
		}
		defer l.leave()
	}
	err := l.ready()
	if l.done != nil {
		defer l.done()
	}
	if err != nil {
		return h.fail(w, r, errors.Join(err, live.Ledger.Refund(r.Context(), l.receipt)))
	}
	l.passed = true
	defer l.answer.more.Close()
	*r = *r.WithContext(outlasting(r.Context()))
	l.answer.full = func() http.ResponseWriter { return l.decide() }
	defer l.spoil()
	if err := next.ServeHTTP(l.answer, r); err != nil && !l.decided {
		l.decided = neverSent(err)
		return errors.Join(err, live.Ledger.Refund(r.Context(), l.receipt))
	}
	if !l.decided {
		l.decide()
	}
	return nil
}

// spoil has the values withheld that a submit carried which got no answer.
func (l *watchedLogin) spoil() {
	if !l.decided {
		l.live.Turns.Spoil(l.values, l.live.now())
	}
}

// leave ends the turn of a submit in a session. Where the app may have had it
// and nothing was decided, as when it breaks off, the session ends.
func (l *watchedLogin) leave() {
	defer l.turn.Done()
	if l.passed && !l.decided {
		if err := l.part(); err != nil {
			l.Log.Error("end the session of a login that broke off", zap.Error(err))
		}
	}
}

// admit refuses what is no honest submit, and charges for the rest before the
// app compares anything.
func (l *watchedLogin) admit() error {
	if !l.fromThisSite(l.r.Header) {
		e := l.event(l.r, audit.MaliciousCSRF, l.visitor)
		e.Outcome, e.Reason = "refused", "login-from-elsewhere"
		l.observe(e)
		return &web.Fail{Status: http.StatusForbidden, Reference: e.Reference, Err: web.ErrCrossSite}
	}
	var err error
	if l.login.Submission, err = l.Form.Submission(l.p.seen(l.r)); err != nil {
		e := l.event(l.r, audit.InputRefused, l.visitor)
		e.Outcome, e.Reason = "refused", "login-ambiguous"
		l.observe(e)
		return &web.Fail{Status: http.StatusBadRequest, Reference: e.Reference, Err: err}
	}
	if l.login.Username == "" || l.login.First {
		return nil // nothing is compared yet, or nobody knows whose it is
	}
	return l.spend()
}

func (l *watchedLogin) spend() (err error) {
	l.receipt, err = l.live.Ceremonies.SpendTyped(l.r, l.login.Username)
	return err
}

// ready makes the request one that the app may get: as on a public path, in
// nobody's name.
func (l *watchedLogin) ready() error {
	r, ctx := l.r, l.r.Context()
	WithholdRequestCookies(r.Header)
	if !l.Form.PassAuthorization() || l.Form.Bears() {
		delete(r.Header, "Authorization") // nobody who signs in has a token yet
	}
	// The answer is to be read. Go's own transport asks for compression by
	// itself, and undoes it.
	delete(r.Header, "Accept-Encoding")
	bonds, err := l.bonds(ctx, l.live, l.visitor)
	if err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	line, elsewhere := weld.JoinLines(r.Header), l.elsewhereIDs(r, l.p)
	l.values = l.live.weld.Carried(line, l.visitor.id(), elsewhere)
	if l.done, err = l.live.Turns.Logins(ctx, l.values); err != nil {
		return waitedInVain(err)
	}
	if !l.live.weld.Allowed(ctx, elsewhere, l.visitor.id(), bonds, true) {
		return l.weldRefused(r, l.visitor)
	}
	passed := l.live.weld.Pass(ctx, line, l.visitor.id(), bonds, true)
	weld.SetLine(r.Header, passed.Line)
	l.login.Cookies = passed.Line
	if l.login.Username == "" {
		if err := l.second(l.live.weld.Carried(passed.Line, l.visitor.id(), nil)); err != nil {
			return err
		}
	}
	if l.holders, err = l.live.weld.Holders(ctx, "", l.Form.Cookies().Cookies(passed.Line)); err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	if err := l.Form.Before(ctx, l.ask, &l.login); err != nil {
		return &web.Fail{Status: http.StatusBadGateway, Err: err}
	}
	return nil
}

// decide judges the app's answer and sends something, once. It returns where
// the rest of a long answer goes, nil for nowhere.
func (l *watchedLogin) decide() (rest http.ResponseWriter) {
	l.decided = true
	ctx := l.r.Context()
	var err error
	if l.login.Answer, err = l.answer.answer(l.Handler, l.p.target()); err != nil {
		return l.stop(err)
	}
	CorrectHeader(l.answer.sent)
	if err := l.regiven(ctx, l.live, l.visitor, l.answer.sent); err != nil {
		return l.stop(errors.Join(&web.Fail{Status: http.StatusServiceUnavailable, Err: err}, l.part()))
	}
	l.remember()
	if l.login.First { // it lets nobody in
		return l.goesOn(nil)
	}
	accepted, err := l.Form.Judge(ctx, l.ask, &l.login)
	if errors.Is(err, signin.ErrRefused) {
		return l.inVain()
	}
	if err != nil {
		return l.undecided(err)
	}
	entered, err := l.enter(accepted.Identity)
	if errors.Is(err, people.ErrPinned) {
		return l.stop(errors.Join(
			&web.Fail{Status: http.StatusForbidden, Title: "fail.pinned.title", Advice: "fail.pinned.advice", Err: err},
			l.part(), l.live.Ceremonies.TypedInVain(l.r, "name-conflict"),
		))
	}
	if errors.Is(err, signin.ErrRefused) {
		// The app let somebody in whom the gateway does not know. Its cookies
		// do not leave.
		return l.stop(errors.Join(&web.Fail{Status: http.StatusForbidden, Err: errNoAccount}, l.part(), l.live.Ceremonies.TypedInVain(l.r, "no-account")))
	}
	if err != nil {
		return l.stop(errors.Join(&web.Fail{Status: http.StatusServiceUnavailable, Err: err}, l.part()))
	}
	if v := l.visitor.entry; v != nil && v.Session.ID != entered.Session.ID {
		l.live.Turns.End(v.Session.ID, v.Session.EndsAt, l.live.now())
	}
	if err := l.bind(entered, accepted); err != nil {
		err = errors.Join(err, l.live.Sessions.End(ctx, l.w, l.live.Ceremonies.Place, entered))
		return l.stop(&web.Fail{Status: http.StatusServiceUnavailable, Err: err})
	}
	return l.show(visitor{entry: entered, memo: l.memo(entered, l.live.now())})
}

var errNoAccount = errors.New("the app let in somebody who has no account here")

// stop answers with an error in place of the app's answer.
func (l *watchedLogin) stop(err error) http.ResponseWriter {
	l.fail(l.w, l.r, err)
	return nil
}

// enter begins the session of whom the app let in, or adds to the one that
// they have. A name that was typed for the first time adds to none: the app
// may tell it from one that it gives the same name.
func (l *watchedLogin) enter(who signin.Identity) (*session.Entry, error) {
	who.Typed = l.login.Username
	asSent := l.r.Clone(l.r.Context())
	asSent.Header["Cookie"] = l.sent
	before := l.visitor.entry
	if own, err := l.ownName(); err != nil {
		return nil, err
	} else if !own {
		if err := l.part(); err != nil {
			return nil, err
		}
		before = nil
	}
	return l.live.Ceremonies.Enter(l.w, asSent, before, who)
}

// ownName tells whether what was typed has led to the visitor before.
func (l *watchedLogin) ownName() (bool, error) {
	if l.visitor.entry == nil {
		return false, nil
	}
	return l.live.People.SameTyped(l.r.Context(), l.visitor.entry.Owner.Account, l.login.Username)
}

// inVain is for an answer to a login that let nobody in.
func (l *watchedLogin) inVain() http.ResponseWriter {
	return l.goesOn(l.live.Ceremonies.TypedInVain(l.r, "refused"))
}

// goesOn passes on an answer that lets nobody in, unless err says that it must
// not.
func (l *watchedLogin) goesOn(err error) http.ResponseWriter {
	parted, why := l.partUnlessSame()
	if err := errors.Join(err, why); err != nil {
		return l.stop(&web.Fail{Status: http.StatusServiceUnavailable, Err: err})
	}
	if l.visitor.entry != nil && !parted {
		return l.show(l.visitor)
	}
	l.answer.pass(l.w)
	return l.w
}

// undecided answers in place of the app, which may have let somebody in and
// does not say whom. Its cookies do not leave.
func (l *watchedLogin) undecided(why error) http.ResponseWriter {
	return l.stop(errors.Join(
		&web.Fail{Status: http.StatusBadGateway, Title: "fail.unnamed.title", Advice: "fail.unnamed.advice", Err: why},
		l.part(), l.live.Ceremonies.TypedInVain(l.r, "undecided"),
	))
}

// part ends the session that the browser had before: its cookies of the app
// may be somebody else's now.
func (l *watchedLogin) part() error {
	if l.visitor.entry == nil {
		return nil
	}
	row := l.visitor.entry.Session
	l.live.Turns.End(row.ID, row.EndsAt, l.live.now())
	return l.live.Sessions.End(context.WithoutCancel(l.r.Context()), l.w, l.live.Ceremonies.Place, l.visitor.entry)
}

// partUnlessSame is part, unless the name was the visitor's own and the app
// says when it is asked again that its cookies are the session's person's
// still: its answer did not let anybody in, but the answer may mislead. For
// another name the app's word is not enough, for it may call both the same.
func (l *watchedLogin) partUnlessSame() (parted bool, err error) {
	if l.visitor.entry == nil {
		return false, nil
	}
	if own, err := l.ownName(); err != nil || !own {
		return true, errors.Join(err, l.part())
	}
	if len(l.Form.Cookies().Cookies(l.login.Cookies)) == 0 {
		return false, nil
	}
	who, err := l.Form.Who(l.r.Context(), l.ask, weld.After(l.login.Cookies, l.answer.sent, l.live.now()))
	if err == nil && l.isVisitor(l.r.Context(), l.live, l.visitor, who) {
		return false, nil
	}
	return true, l.part()
}

// show sends the answer to a visitor with a session: as it is where the
// levels of its path are met, else a redirect without its body, and in place
// of a page the way to these levels.
func (l *watchedLogin) show(v visitor) http.ResponseWriter {
	// The page is what a GET of the same target would show.
	page := passage{sent: l.p.sent, others: l.p.others, body: l.p.body}
	for i := range l.p.request.Also {
		page.also[i] = &page.others[i]
	}
	page.request.Also = page.also[:len(l.p.request.Also)]
	q := page.facts(l.Handler, l.r, v)
	q.Claimed = append(q.Claimed, http.MethodGet)
	d := l.Policy.Decide(q)
	// A script that signs somebody in needs the app's answer; the next page
	// leads on.
	going := l.visitor.going != nil && web.Navigation(l.r)
	leads := l.answer.status >= 300 && l.answer.status < 400 && l.answer.sent.Get("Location") != ""
	switch {
	case d.Outcome == policy.Allow && (leads || !going):
		l.answer.pass(l.w)
		return l.w
	case leads:
		l.answer.passHeader(l.w)
		return nil
	}
	l.w.Header()["Set-Cookie"] = append(l.w.Header()["Set-Cookie"], l.answer.sent["Set-Cookie"]...)
	if d.Outcome == policy.Deny && !going {
		l.deny(l.w, l.r, &page, v, d)
		return nil
	}
	if !web.Navigation(l.r) && d.Outcome == policy.StepUp {
		v.going = nil
		if err := l.begin(l.w, l.r, l.p, v, d); err != nil {
			l.Log.Error("ask a script for more proof", zap.Error(err))
		}
		return nil
	}
	v.going = l.visitor.going
	if !going {
		v.going = &ceremony.Continuation{
			ID: ceremony.NewID(), Kind: ceremony.Return, Target: l.p.target(), Needs: d.Needed,
			Policy: l.Policy.Fingerprint(), Method: http.MethodGet, At: l.live.now().UTC(),
		}
	}
	l.resume(l.w, l.r, l.live, v)
	return nil
}
