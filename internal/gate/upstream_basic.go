package gate

import (
	"errors"
	"net/http"

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

const programPurpose = "upstream basic program"

// strangerToApp tells whether somebody has to sign in at the app first:
// without a session, or with the credentials of somebody else.
func (h *Handler) strangerToApp(r *http.Request, v visitor, d policy.Decision) bool {
	if h.Basic == nil || d.Public || v.err != nil || d.Outcome == policy.Deny && d.Reason == policy.ReasonPathDenied {
		return false
	}
	if v.entry == nil {
		return true
	}
	c, named := upstreambasic.Read(r.Header)
	return named && !h.ownCredentials(c, v)
}

func (h *Handler) ownCredentials(c upstreambasic.Credentials, v visitor) bool {
	if v.entry == nil {
		return false
	}
	owner, who := v.entry.Owner.Account, h.Basic.Who(c.Username)
	return owner.Source == who.Source && owner.Subject == who.Subject
}

// holdCredentials lets credentials reach the app that name the session's
// person.
func (h *Handler) holdCredentials(r *http.Request, v visitor) {
	c, named := upstreambasic.Read(r.Header)
	delete(r.Header, "Authorization")
	if named && h.ownCredentials(c, v) {
		r.Header["Authorization"] = []string{string(c.Line.Reveal())}
	}
}

// programAt names the program that a request's credentials are of; ok is false
// where it has none that hold for more than one request.
func (h *Handler) programAt(r *http.Request, live *Live) (program [32]byte, ok bool) {
	if h.Basic == nil {
		return program, false
	}
	c, named := upstreambasic.Read(r.Header)
	if !named || c.Digest {
		return program, false
	}
	return [32]byte(live.Ring.MAC(programPurpose, []byte(h.Origin), c.Line.Reveal())), true
}

// signInAtApp asks the app about the credentials of a request, and makes a
// session of its acceptance. Without credentials the answer is the app's own
// question.
func (h *Handler) signInAtApp(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision, next Next) error {
	live := h.live.Load()
	if live == nil {
		return h.unavailable(w, r, errNotStarted)
	}
	ctx, ask, at := r.Context(), h.asker().For(r, next), h.Basic.LoginTarget()
	c, named := upstreambasic.Read(r.Header)
	if c.Digest {
		// Digest credentials hold for one method and address. It is asked
		// about only where a password is enough to be there.
		if r.Method != http.MethodGet || d.Needed&^live.password != 0 && p.sent.Target() != at {
			return h.askAtApp(w, r, nil, at)
		}
		at = p.sent.Target()
	}
	bare, err := ask(ctx, at, "")
	switch {
	case err != nil:
		return h.fail(w, r, &web.Fail{Status: http.StatusBadGateway, Err: err})
	case bare.Status != http.StatusUnauthorized:
		return h.fail(w, r, &web.Fail{Status: http.StatusForbidden, Title: "fail.basic.title", Advice: "fail.basic.advice", Err: errAsksNobody})
	case !named:
		return h.askAtApp(w, r, bare, at)
	}
	receipt, err := live.Ceremonies.SpendTyped(r, c.Username)
	if err != nil {
		return h.fail(w, r, err)
	}
	answer, err := ask(upstreambasic.With(ctx, c), at, "")
	switch {
	case err != nil || answer.Status >= 500:
		return h.fail(w, r, errors.Join(&web.Fail{Status: http.StatusBadGateway, Err: err}, live.Ledger.Refund(ctx, receipt)))
	case answer.Status >= 400:
		if err := live.Ceremonies.TypedInVain(r, "refused"); err != nil {
			return h.unavailable(w, r, err)
		}
		return h.askAtApp(w, r, answer, at)
	}
	entered, err := live.Ceremonies.Enter(w, r, v.entry, h.Basic.Who(c.Username))
	if errors.Is(err, signin.ErrRefused) {
		return h.fail(w, r, errors.Join(&web.Fail{Status: http.StatusForbidden, Err: watched.ErrNoAccount}, live.Ceremonies.TypedInVain(r, "no-account")))
	}
	if err == nil {
		err = live.Ledger.Success(ctx, receipt)
	}
	if err != nil {
		return h.unavailable(w, r, err)
	}
	return h.acceptedAtApp(w, r, p, visitor{entry: entered, memo: h.memo(entered, live.now())}, next)
}

// errAsksNobody says that the app shows the probe to strangers: its
// acceptance of a password would mean nothing.
var errAsksNobody = errors.New("the application does not ask for a password at the probe: name a path where it does (sign_in upstream_basic, probe)")

// acceptedAtApp goes on with a request whose person the app has accepted. A
// browser comes again, with its cookie and with new credentials where they
// hold for one request.
func (h *Handler) acceptedAtApp(w http.ResponseWriter, r *http.Request, p *passage, v visitor, next Next) error {
	live := h.live.Load()
	if landing(r) {
		w.Header().Set("Location", p.sent.Target())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	if program, ok := h.programAt(r, live); ok {
		h.lend(w, r, live, program, h.Basic.Cache())
	}
	return h.goOn(w, r, p, v, next)
}

// askAtApp answers with the app's own question. A browser whose credentials
// could hold for another address only is sent there.
func (h *Handler) askAtApp(w http.ResponseWriter, r *http.Request, question *legacyform.Answer, at string) error {
	if question == nil {
		if landing(r) && r.URL.RequestURI() != at {
			w.Header().Set("Location", at)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
			return nil
		}
		return h.fail(w, r, &web.Fail{Status: http.StatusUnauthorized, Title: "fail.basic.title", Advice: "fail.basic.advice"})
	}
	for _, line := range question.Header["Www-Authenticate"] {
		w.Header().Add("WWW-Authenticate", line)
	}
	return h.fail(w, r, &web.Fail{Status: http.StatusUnauthorized, Title: "fail.basic.title", Advice: "fail.basic.advice"})
}
