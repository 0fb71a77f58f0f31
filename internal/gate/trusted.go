package gate

import (
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is for sites whose people an earlier handler, or a proxy in front,
// has let in (sign_in trusted). Whom it names is read once, before headers are
// withheld, and travels in the request's context.

const (
	namedPurpose = "named program"
	// namedCache is how long a program that keeps no cookies goes on in the
	// session of its first call. It is named at every request all the same.
	namedCache = 5 * time.Minute
)

// hear asks the site's sources whom a request names.
func (h *Handler) hear(r *http.Request) *http.Request {
	live, err := h.alive(r.Context())
	if err != nil || len(live.Ceremonies.Asserters) == 0 {
		return r
	}
	earlier := h.Server.Placeholders(r)
	if earlier == nil {
		return r
	}
	return r.WithContext(signin.Hear(r.Context(), live.Ceremonies.Asserters, r, earlier))
}

// named tells whether a request begins the session of whom it names. Public
// paths begin none.
func (h *Handler) named(r *http.Request, v visitor, d policy.Decision) bool {
	if v.entry != nil || v.err != nil || d.Public || d.Outcome == policy.Deny && d.Reason == policy.ReasonPathDenied {
		return false
	}
	_, err := signin.Heard(r.Context())
	return !errors.Is(err, signin.ErrNobody)
}

// signInNamed begins the session of whom a request names, and goes on with the
// request.
func (h *Handler) signInNamed(w http.ResponseWriter, r *http.Request, p *passage) error {
	live := h.live.Load()
	if live == nil {
		return h.unavailable(w, r, errNotStarted)
	}
	entered, err := live.Ceremonies.EnterNamed(w, r)
	switch {
	case errors.Is(err, signin.ErrRefused):
		return h.fail(w, r, &web.Fail{Status: http.StatusForbidden, Title: "fail.named.title", Advice: "fail.named.advice", Err: err})
	case err != nil:
		return h.unavailable(w, r, err)
	}
	if program, ok := (programs{h}).programNamed(r, live); ok && !landing(r) {
		programs{h}.lend(w, r, live, program, namedCache)
	}
	return h.goOn(w, r, p, visitor{entry: entered, memo: visitors{h}.memo(entered, live.now())})
}

// programNamed names a program by whom it is named.
func (h programs) programNamed(r *http.Request, live *Live) (program [32]byte, ok bool) {
	who, err := signin.Heard(r.Context())
	if err != nil {
		return program, false
	}
	return [32]byte(live.Ring.MAC(namedPurpose, []byte(h.Origin), []byte(who.Source), []byte(who.Subject))), true
}
