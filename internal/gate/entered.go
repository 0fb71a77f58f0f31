package gate

import (
	"net/http"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// This file is about requests that are a sign-in themselves: their session
// begins on the way to the app.

// goOn judges a request anew whose person has just been signed in.
func (h *Handler) goOn(w http.ResponseWriter, r *http.Request, p *passage, v visitor) error {
	p.now = time.Now() // it has taken its time
	d := h.spend(r, v, p.judge(h, r, v), p)
	switch {
	case d.Outcome == policy.Deny:
		return h.deny(w, r, p, v, d)
	case d.Outcome == policy.Allow:
		h.prepare(r, p, v, d)
		return h.watch(w, r, p, v, d)
	default:
		return h.begin(w, r, p, v, d)
	}
}

// lend remembers for a program the session cookie that this answer gives it,
// if it brought none.
func (h programs) lend(w http.ResponseWriter, r *http.Request, live *Live, program [32]byte, cache time.Duration) {
	if cookie := given(w.Header(), live.Ceremonies.Place.Cookie); cookie != "" && r.Header["Cookie"] == nil {
		h.lending.lend(program, cookie, live.now().Add(cache))
	}
}

// borrow gives a program that keeps no cookies the session of its first call.
func (h programs) borrow(r *http.Request, live *Live) {
	if r.Header["Cookie"] != nil {
		return
	}
	program, ok := h.programAt(r, live)
	if !ok {
		program, ok = h.programNamed(r, live)
	}
	if !ok {
		return
	}
	if cookie := h.lending.cookie(program, live.now()); cookie != "" {
		r.Header["Cookie"] = []string{cookie}
	}
}

// given is a cookie that an answer sets, as a browser sends it back; "" for
// none.
func given(h http.Header, name string) string {
	for _, line := range h["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == name && c.MaxAge >= 0 {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}
