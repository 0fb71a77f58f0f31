package challenge

import (
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
)

// ready finds the visitor and the continuation of a page that wants a
// session, and tells whether the handler goes on: somebody who is not signed
// in, or whose tab has been given a newer identifier, is sent on.
func (s *Site) ready(w http.ResponseWriter, r *http.Request) (v *session.Entry, c ceremony.Continuation, fields map[string]string, on bool, err error) {
	if v, err = s.visitor(r); err != nil {
		return
	}
	if r.Method == http.MethodPost {
		if v == nil {
			if _, err = web.ReadForm(w, r); err != nil {
				return
			}
		} else if fields, err = s.post(w, r, v); err != nil {
			return
		}
	}
	c = s.continuation(r)
	if v == nil {
		return v, c, nil, false, s.goTo(w, r, "/sign-in", c)
	}
	if r.Method == http.MethodPost && !v.Session.SupersededAt.IsZero() {
		risen, err := s.again(w, r, v, s.formMark(r, v, fields))
		if err != nil || risen == nil {
			return v, c, nil, false, errors.Join(err, s.goTo(w, r, "/challenge", c))
		}
		return v, c, nil, false, s.dispatch(w, r, risen, c)
	}
	return v, c, fields, true, nil
}
