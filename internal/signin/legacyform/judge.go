package legacyform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/weld"
)

// Login is a submit with what is known of it when the app has answered.
type Login struct {
	Submission
	// Cookies is the Cookie line that the app got with the submit.
	Cookies string
	// Before is who the app said this was just before, by the same cookies;
	// the zero value for nobody. BeforeKnown says that it was asked.
	Before      signin.Identity
	BeforeKnown bool
	Answer      *Answer
}

// Accepted is a login that the app let in.
type Accepted struct {
	signin.Identity
	// Issued are the new values of session cookies in this very answer,
	// Carried those that the browser had before and still has.
	Issued, Carried []weld.Cookie
}

// Before asks who a browser is before its submit goes to the app, where that
// is needed to tell a login from a session that was there already. It is not
// where a good login has to give a session cookie anyway: some apps begin
// another session whenever a stranger asks for a page, and then no longer know
// the form that they are about to get.
func (f *Form) Before(ctx context.Context, ask Ask, l *Login) error {
	if !f.ConfirmsLater() || f.gives() || len(f.cookies.Cookies(l.Cookies)) == 0 {
		return nil
	}
	who, err := f.Who(ctx, ask, l.Cookies)
	if err != nil && !errors.Is(err, ErrNobody) {
		return err
	}
	l.Before, l.BeforeKnown = who, true
	return nil
}

// gives tells whether a good answer has to set a session cookie.
func (f *Form) gives() bool {
	return slices.ContainsFunc(f.success, func(c condition) bool { return c.kind == "cookie" && f.cookies.Has(c.name) })
}

// ErrUnnamed says that the app's answer looks like that to a good login, but
// that the app then does not say who it let in.
var ErrUnnamed = errors.New("legacyform: the app let somebody in and does not say who")

// Judge tells who the app let in. signin.ErrRefused says nobody; with any
// other error somebody may have been let in, and nothing of the answer may
// reach the browser.
func (f *Form) Judge(ctx context.Context, ask Ask, l *Login) (Accepted, error) {
	now := time.Now()
	if !f.signsOfSuccess(l.Answer, now) {
		return Accepted{}, signin.ErrRefused
	}
	carried := f.cookies.Cookies(l.Cookies)
	a := Accepted{Carried: carried}
	for _, c := range f.cookies.Issued(l.Answer.Header, now) {
		a.Carried = slices.DeleteFunc(a.Carried, func(old weld.Cookie) bool { return old.Name == c.Name && old.Value != c.Value })
		if !slices.Contains(carried, c) {
			a.Issued = append(a.Issued, c)
		}
	}
	tokens := f.tokens(l.Answer)
	a.Issued = append(a.Issued, tokens...)
	who, err := f.who(ctx, ask, l, tokens)
	switch {
	case errors.Is(err, ErrNobody) && len(f.success) > 0:
		return Accepted{}, fmt.Errorf("%w: %w", ErrUnnamed, err)
	case errors.Is(err, ErrNobody): // its word was to be the sign
		return Accepted{}, fmt.Errorf("%w: %w", signin.ErrRefused, err)
	case err != nil:
		return Accepted{}, err
	}
	a.Identity = who
	if len(a.Issued) == 0 && !f.newcomer(l, who, len(carried) > 0) {
		return Accepted{}, fmt.Errorf("%w: the answer has no sign that a failed login would not have", signin.ErrRefused)
	}
	return a, nil
}

// signsOfSuccess tells whether every condition of success holds and none of
// failure. What cannot be known counts against.
func (f *Form) signsOfSuccess(a *Answer, now time.Time) bool {
	for i := range f.failure {
		if holds, sure := f.failure[i].holds(a, now); holds || !sure {
			return false
		}
	}
	for i := range f.success {
		if holds, _ := f.success[i].holds(a, now); !holds {
			return false
		}
	}
	return a.Status < 400
}

// who is the person, by the app's own word or else by the submitted name.
func (f *Form) who(ctx context.Context, ask Ask, l *Login, tokens []weld.Cookie) (signin.Identity, error) {
	switch {
	case f.identity == nil:
		return signin.Identity{Source: f.name, Username: l.Username, ByName: true}, nil
	case f.identity.kind == "probe" && len(tokens) > 0:
		return f.whoBears(ctx, ask, tokens, weld.After(l.Cookies, l.Answer.Header, time.Now()))
	case f.identity.kind == "probe":
		return f.Who(ctx, ask, weld.After(l.Cookies, l.Answer.Header, time.Now()))
	default:
		return f.named(l.Answer)
	}
}

// newcomer tells whether the identity is a sign by itself: the app did not
// say the same of the same browser before.
func (f *Form) newcomer(l *Login, who signin.Identity, carried bool) bool {
	switch {
	case f.identity == nil:
		return false
	case l.BeforeKnown:
		return who.Subject != l.Before.Subject
	default:
		return !carried
	}
}
