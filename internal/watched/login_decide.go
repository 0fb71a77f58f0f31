package watched

import (
	"context"
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

// decide judges the app's answer and sends something, once. It returns where
// the rest of a long answer goes, nil for nowhere.
func (l *login) decide() (rest http.ResponseWriter) {
	l.decided = true
	var err error
	if l.login.Answer, err = l.answer.answer(l.site.Origin, l.Seen.Target.Target()); err != nil {
		return l.stop(err)
	}
	l.site.Gate.Correct(l.answer.sent)
	if err := l.site.regiven(l.HTTP.Context(), l.Visitor, l.answer.sent); err != nil {
		return l.stop(errors.Join(&web.Fail{Status: http.StatusServiceUnavailable, Err: err}, l.part()))
	}
	l.remember()
	if l.login.First { // it lets nobody in
		return l.goesOn(nil)
	}
	accepted, err := l.site.Form.Judge(l.HTTP.Context(), l.ask(), &l.login)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return l.goesOn(l.site.Ceremonies.TypedInVain(l.HTTP, "refused"))
	case err != nil:
		// The app may have let somebody in, and does not say whom.
		return l.stop(l.inVain("undecided", &web.Fail{Status: http.StatusBadGateway, Title: "fail.unnamed.title", Advice: "fail.unnamed.advice", Err: err}))
	}
	return l.accept(accepted)
}

// accept makes a session of a login that the app let in.
func (l *login) accept(accepted legacyform.Accepted) http.ResponseWriter {
	entered, err := l.enter(accepted.Identity)
	switch {
	case errors.Is(err, people.ErrPinned):
		return l.stop(l.inVain("name-conflict", &web.Fail{Status: http.StatusForbidden, Title: "fail.pinned.title", Advice: "fail.pinned.advice", Err: err}))
	case errors.Is(err, signin.ErrRefused):
		return l.stop(l.inVain("no-account", &web.Fail{Status: http.StatusForbidden, Err: ErrNoAccount}))
	case err != nil:
		return l.stop(errors.Join(&web.Fail{Status: http.StatusServiceUnavailable, Err: err}, l.part()))
	}
	if v := l.Visitor.Entry; v != nil && v.Session.ID != entered.Session.ID {
		l.site.Turns.End(v.Session.ID, v.Session.EndsAt, l.site.Now())
	}
	if err := l.bindAll(entered, accepted); err != nil {
		err = errors.Join(err, l.site.Sessions.End(l.HTTP.Context(), l.w, l.site.Place, entered))
		return l.stop(&web.Fail{Status: http.StatusServiceUnavailable, Err: err})
	}
	return l.show(entered, l.answer)
}

// ErrNoAccount says that the app let in somebody whom the gateway does not
// know.
var ErrNoAccount = errors.New("the app let in somebody who has no account here")

// stop answers with an error in place of the app's answer, whose cookies do not
// leave.
func (l *login) stop(err error) http.ResponseWriter {
	l.fail(err)
	return nil
}

// inVain writes down why a login that the app may have let in is let in no
// further.
func (l *login) inVain(reason string, why *web.Fail) error {
	return errors.Join(why, l.part(), l.site.Ceremonies.TypedInVain(l.HTTP, reason))
}

// enter begins the session of whom the app let in, or adds to the one that
// they have. A name that was typed for the first time adds to none: the app
// may tell it from one that it gives the same name.
func (l *login) enter(who signin.Identity) (*session.Entry, error) {
	who.Typed = l.login.Username
	asSent := l.HTTP.Clone(l.HTTP.Context())
	asSent.Header["Cookie"] = l.sent
	before := l.Visitor.Entry
	if own, err := l.ownName(); err != nil {
		return nil, err
	} else if !own {
		if err := l.part(); err != nil {
			return nil, err
		}
		before = nil
	}
	return l.site.Ceremonies.Enter(l.w, asSent, before, who)
}

// ownName tells whether what was typed has led to the visitor before.
func (l *login) ownName() (bool, error) {
	if l.Visitor.Entry == nil {
		return false, nil
	}
	return l.site.Names.SameTyped(l.HTTP.Context(), l.Visitor.Entry.Owner.Account, l.login.Username)
}

// goesOn passes on an answer that lets nobody in, unless err says that it must
// not.
func (l *login) goesOn(err error) http.ResponseWriter {
	parted, why := l.partUnlessSame()
	if err := errors.Join(err, why); err != nil {
		return l.stop(&web.Fail{Status: http.StatusServiceUnavailable, Err: err})
	}
	if l.Visitor.Entry != nil && !parted {
		return l.show(l.Visitor.Entry, l.answer)
	}
	return l.answer.Pass(l.w)
}

// part ends the session that the browser had before: its cookies of the app
// may be somebody else's now.
func (l *login) part() error {
	if l.Visitor.Entry == nil {
		return nil
	}
	row := l.Visitor.Entry.Session
	l.site.Turns.End(row.ID, row.EndsAt, l.site.Now())
	return l.site.Sessions.End(context.WithoutCancel(l.HTTP.Context()), l.w, l.site.Place, l.Visitor.Entry)
}

// partUnlessSame is part, unless the name was the visitor's own and the app
// says when it is asked again that its cookies are the session's person's
// still: its answer did not let anybody in, but the answer may mislead. For
// another name the app's word is not enough, for it may call both the same.
func (l *login) partUnlessSame() (parted bool, err error) {
	if l.Visitor.Entry == nil {
		return false, nil
	}
	if own, err := l.ownName(); err != nil || !own {
		return true, errors.Join(err, l.part())
	}
	if len(l.site.Form.Cookies().Cookies(l.login.Cookies)) == 0 {
		return false, nil
	}
	who, err := l.site.Form.Who(l.HTTP.Context(), l.ask(), weld.After(l.login.Cookies, l.answer.sent, l.site.Now()))
	if err == nil && l.site.isVisitor(l.HTTP.Context(), l.Visitor, who) {
		return false, nil
	}
	return true, l.part()
}
