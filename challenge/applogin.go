package challenge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// appLogins is the ceremony of the app's own login.
type appLogins struct{ *Site }

// This file is for sites whose people sign in at the app's own login page
// (sign_in legacy_form). That page cannot carry a continuation, so a cookie
// does, sealed and short-lived.

const (
	waitingCookie = "stepgate_continue"
	// waitingTTL is how long somebody may take to sign in there.
	waitingTTL = 15 * time.Minute
	// maxWaiting bounds the cookie's value, in bytes: browsers keep 4096 of
	// name, value and attributes together.
	maxWaiting = 3500
)

func (s appLogins) waitingName() string {
	if s.Place.Secure {
		return "__Host-" + waitingCookie
	}
	return waitingCookie
}

// toLoginPage sends the browser to the app's own form, and remembers where it
// was going.
func (s appLogins) toLoginPage(w http.ResponseWriter, r *http.Request, c ceremony.Continuation) error {
	sealed, err := c.SealWithin(s.Sealer, s.Place.Origin, maxWaiting)
	if err != nil {
		return err
	}
	s.setWaiting(w, sealed, int(waitingTTL.Seconds()))
	return web.Redirect(w, r, s.Web, s.LoginPage)
}

func (s appLogins) setWaiting(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: s.waitingName(), Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.Place.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Waiting is where a browser was going that was sent to the app's login page;
// nil where nothing is remembered.
func (s *Site) Waiting(r *http.Request) *ceremony.Continuation {
	mentions := func(line string) bool { return strings.Contains(line, waitingCookie) }
	if !slices.ContainsFunc(r.Header["Cookie"], mentions) {
		return nil
	}
	found := r.CookiesNamed(appLogins{s}.waitingName())
	if len(found) != 1 {
		return nil
	}
	c, err := ceremony.OpenContinuation(s.Sealer, s.Place.Origin, found[0].Value, s.Now())
	if err != nil || s.Now().Sub(c.At) > waitingTTL {
		return nil
	}
	return &c
}

// Resume sends a browser that has signed in at the app's login page on to
// where it was going, by way of whatever that still needs.
func (s *Site) Resume(w http.ResponseWriter, r *http.Request, c ceremony.Continuation) error {
	appLogins{s}.setWaiting(w, "", -1)
	return s.goTo(w, r, "/challenge", c)
}

// SpendTyped charges a name and password typed into the app's own form before
// the app sees them, as if they were typed into ours. The error is for a page:
// 429 where nothing is left.
func (s *Site) SpendTyped(r *http.Request, username string) (throttle.Receipt, error) {
	receipt, err := s.Ledger.Spend(r.Context(), s.Plan.Charges(acquaintances{s}.typing(r, username))...)
	if err != nil {
		return receipt, s.tooMany(err)
	}
	return receipt, nil
}

// TypedInVain writes down that the app, or the gateway after it, let nobody
// in. reason is a kebab code.
func (s *Site) TypedInVain(r *http.Request, reason string) error {
	e := signIns{s}.signInFailed(r)
	e.Reason = reason
	return s.Recorder.Record(r.Context(), e)
}

// Enter makes a session of a successful sign-in and gives its cookie to the
// browser. A session of the same person rises; one of somebody else ends, and
// its proofs with it. signin.ErrRefused says that there is no account for it,
// or that it is suspended; session.ErrChanged that the
// password was changed since it was compared.
func (s *Site) Enter(w http.ResponseWriter, r *http.Request, v *session.Entry, who signin.Identity) (*session.Entry, error) {
	ctx := r.Context()
	owner, err := s.Admit(ctx, who)
	if err == nil {
		err = signIns{s}.admissible(ctx, owner)
	}
	if errors.Is(err, account.ErrNotFound) {
		return nil, signin.ErrRefused
	}
	if err != nil {
		return nil, err
	}
	b := signIns{s}.beginning(r, owner, appLogins{s}.proofs(who)...)
	b.Password = who.Password
	b.Tie = session.Tie{IssuerSession: who.IssuerSession, Note: who.Note}
	b, score := signIns{s}.scored(r, b, who.Failed, true)
	entry, err := signIns{s}.admitSession(w, r, v, b)
	switch {
	case errors.Is(err, account.ErrNotFound): // suspended or deleted a moment ago
		return nil, signin.ErrRefused
	case err != nil:
		return nil, err
	}
	acquaintances{s}.meet(w, r, owner.ID, who.Typed, score.Turn)
	e := s.event(r, audit.LoginSuccess, entry)
	e.Detail = score.Detail
	return entry, notices{s}.signedIn(r, entry, e)
}

// proofs are what a sign-in proves: the sign-in itself, and what was proved
// besides where the person came from, if the operator trusts that.
func (s appLogins) proofs(who signin.Identity) []policy.Proof {
	at := who.At
	if at.IsZero() {
		at = s.Now()
	}
	made := []policy.Proof{{Factor: policy.Password, At: at.UTC()}}
	for _, factor := range who.Proved {
		made = append(made, policy.Proof{
			Factor: policy.Factor(factor), Credential: "issuer " + who.Source + " " + factor, At: at.UTC(), UserVerified: factor == string(policy.WebAuthn),
		})
	}
	return made
}

// admissible gives account.ErrNotFound for an account that gets no session.
func (s signIns) admissible(ctx context.Context, a account.Account) error {
	if a.Suspended() {
		return account.ErrNotFound
	}
	if s.Shadowed == nil {
		return nil
	}
	shadowed, err := s.Shadowed(ctx, a)
	if shadowed {
		return account.ErrNotFound
	}
	return err
}

// Leave ends a session because the person signed out in the app.
func (s *Site) Leave(ctx context.Context, w http.ResponseWriter, r *http.Request, e *session.Entry) error {
	if err := s.Sessions.End(ctx, w, s.Place, e); err != nil {
		return err
	}
	return s.Recorder.Record(ctx, s.event(r, audit.SessionLogout, e))
}
