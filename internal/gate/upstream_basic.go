package gate

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is for apps that ask with HTTP Basic or Digest themselves
// (sign_in upstream_basic). The app compares the password at every request;
// the gateway asks it once, and from then on lets pass what names the
// session's person, and nobody else.

// basics is the app that asks by itself, and what its people bring for it.
type basics struct{ *Handler }

const programPurpose = "upstream basic program"

// strangerToApp tells whether somebody has to sign in at the app first:
// without a session, or with the credentials of somebody else.
func (h basics) strangerToApp(r *http.Request, v visitor, d policy.Decision) bool {
	if h.Basic == nil || d.Public || v.err != nil || d.Outcome == policy.Deny && d.Reason == policy.ReasonPathDenied {
		return false
	}
	if v.entry == nil {
		return true
	}
	c, named := upstreambasic.Read(r.Header)
	return named && !h.ownCredentials(c, v)
}

func (h basics) ownCredentials(c upstreambasic.Credentials, v visitor) bool {
	if v.entry == nil {
		return false
	}
	owner, who := v.entry.Owner.Account, h.Basic.Who(c.Username)
	return owner.Source == who.Source && owner.Subject == who.Subject
}

// holdCredentials lets credentials reach the app that name the session's
// person: those of the request, or else those that its browser holds sealed.
func (h basics) holdCredentials(r *http.Request, p *passage, v visitor) {
	if h.Basic == nil {
		return
	}
	c, named := upstreambasic.Read(r.Header)
	delete(r.Header, "Authorization")
	if !named && h.Basic.OwnPage() && v.entry != nil {
		p.asked = true
		c, named = h.openCredentials(r, v)
	}
	if named && h.ownCredentials(c, v) {
		r.Header["Authorization"] = []string{string(c.Line.Reveal())}
	}
}

// programAt names the program that a request's credentials are of; ok is false
// where it has none that hold for more than one request.
func (h programs) programAt(r *http.Request, live *Live) (program [32]byte, ok bool) {
	if h.Basic == nil {
		return program, false
	}
	c, named := upstreambasic.Read(r.Header)
	if !named || c.Digest {
		return program, false
	}
	return [32]byte(live.Ring.MAC(programPurpose, []byte(h.Origin), c.Line.Reveal())), true
}

// atApp asks the app by the way of one request whom it accepts.
type atApp struct {
	ask legacyform.Ask
	at  string // the probe
}

func (h basics) atApp(r *http.Request, next Next) atApp {
	return atApp{h.asker().For(r, next), h.Basic.LoginTarget()}
}

// question is the app's own, to who brings no credentials. The error is for a
// page.
func (a atApp) question(ctx context.Context) (*legacyform.Answer, error) {
	bare, err := a.ask(ctx, a.at, "")
	switch {
	case err != nil:
		return nil, &web.Fail{Status: http.StatusBadGateway, Err: err}
	case bare.Status != http.StatusUnauthorized:
		return nil, &web.Fail{Status: http.StatusForbidden, Title: "fail.basic.title", Advice: "fail.basic.advice", Err: errAsksNobody}
	}
	return bare, nil
}

// accepts asks the app about credentials. signin.ErrRefused says that it does
// not accept them, with its answer; another error is for a page.
func (a atApp) accepts(ctx context.Context, c upstreambasic.Credentials) (*legacyform.Answer, error) {
	answer, err := a.ask(upstreambasic.With(ctx, c), a.at, "")
	switch {
	case err != nil || answer.Status >= 500:
		return nil, &web.Fail{Status: http.StatusBadGateway, Err: err}
	case answer.Status >= 400:
		return answer, signin.ErrRefused
	}
	return answer, nil
}

// asksWith tells whether the app asks with a scheme.
func asksWith(question *legacyform.Answer, scheme string) bool {
	return slices.ContainsFunc(question.Header["Www-Authenticate"], func(list string) bool { return challengesAs(list, scheme) })
}

// signInAtApp asks the app about the credentials of a request, and makes a
// session of its acceptance. Without credentials the answer is the app's own
// question, or the way to the gateway's page.
func (h basics) signInAtApp(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision) error {
	live := h.live.Load()
	if live == nil {
		return h.unavailable(w, r, errNotStarted)
	}
	app := h.atApp(r, p.next)
	c, named := upstreambasic.Read(r.Header)
	if c.Digest {
		// Digest credentials hold for one method and address. It is asked
		// about only where a password is enough to be there.
		if r.Method != http.MethodGet || d.Needed&^live.password != 0 && p.sent.Target() != app.at {
			return h.askAtApp(w, r, nil, app.at)
		}
		app.at = p.sent.Target()
	}
	bare, err := app.question(r.Context())
	switch {
	case err != nil:
		return h.fail(w, r, err)
	case !named && h.Basic.OwnPage() && ofBrowser(r) && asksWith(bare, "Basic"):
		return h.begin(w, r, p, visitor{}, d)
	case !named:
		return h.askAtApp(w, r, bare, app.at)
	}
	receipt, err := live.Ceremonies.SpendTyped(r, c.Username)
	if err != nil {
		return h.fail(w, r, err)
	}
	answer, err := app.accepts(r.Context(), c)
	switch {
	case errors.Is(err, signin.ErrRefused):
		if err := live.Ceremonies.TypedInVain(r, "refused"); err != nil {
			return h.unavailable(w, r, err)
		}
		return h.askAtApp(w, r, answer, app.at)
	case err != nil:
		return h.fail(w, r, errors.Join(err, live.Ledger.Refund(r.Context(), receipt)))
	}
	entered, err := live.Ceremonies.Enter(w, r, v.entry, h.Basic.Who(c.Username))
	if errors.Is(err, signin.ErrRefused) {
		return h.fail(w, r, errors.Join(&web.Fail{Status: http.StatusForbidden, Err: watched.ErrNoAccount}, live.Ceremonies.TypedInVain(r, "no-account")))
	}
	if err == nil {
		err = live.Ledger.Success(r.Context(), receipt)
	}
	if err != nil {
		return h.unavailable(w, r, err)
	}
	return h.acceptedAtApp(w, r, p, visitor{entry: entered, memo: visitors(h).memo(entered, live.now())})
}

// errAsksNobody says that the app shows the probe to strangers: its
// acceptance of a password would mean nothing.
var errAsksNobody = errors.New("the application does not ask for a password at the probe: name a path where it does (sign_in upstream_basic, probe)")

// ofBrowser tells whether a request is one of a browser's, which would show a
// box of its own.
func ofBrowser(r *http.Request) bool {
	return len(r.Header["Sec-Fetch-Mode"]) > 0 || web.Navigation(r)
}

// acceptedAtApp goes on with a request whose person the app has accepted. A
// browser comes again, with its cookie and with new credentials where they
// hold for one request; one that a page of the gateway's has sent to the probe
// goes on to where it was going.
func (h basics) acceptedAtApp(w http.ResponseWriter, r *http.Request, p *passage, v visitor) error {
	live := h.live.Load()
	if landing(r) {
		if c := live.Ceremonies.Waiting(r); c != nil && p.sent.Target() == h.Basic.LoginTarget() {
			return logins(h).resume(w, r, live, visitor{going: c})
		}
		again(w, p.sent.Target())
		return nil
	}
	if program, ok := programs(h).programAt(r, live); ok {
		programs(h).lend(w, r, live, program, h.Basic.Cache())
	}
	return h.goOn(w, r, p, v)
}

// again has a browser ask for a target.
func again(w http.ResponseWriter, at string) {
	w.Header().Set("Location", at)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// askAtApp answers with the app's own question. A browser whose credentials
// could hold for another address only is sent there.
func (h basics) askAtApp(w http.ResponseWriter, r *http.Request, question *legacyform.Answer, at string) error {
	if question == nil {
		if landing(r) && r.URL.RequestURI() != at {
			again(w, at)
			return nil
		}
		return h.fail(w, r, &web.Fail{Status: http.StatusUnauthorized, Title: "fail.basic.title", Advice: "fail.basic.advice"})
	}
	for _, line := range question.Header["Www-Authenticate"] {
		w.Header().Add("WWW-Authenticate", line)
	}
	return h.fail(w, r, &web.Fail{Status: http.StatusUnauthorized, Title: "fail.basic.title", Advice: "fail.basic.advice"})
}
