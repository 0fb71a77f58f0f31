package challenge

import (
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
)

// visit is a request to a page that wants a session.
type visit struct {
	visitor      *session.Entry
	continuation ceremony.Continuation
	// fields are those of a form that was posted, its token checked.
	fields map[string]string
}

// ready finds the visitor and the continuation of a page that wants a
// session. Without a visit and without an error it has answered: somebody who
// is not signed in, or whose tab has been given a newer identifier, is sent
// on.
func (s *Site) ready(w http.ResponseWriter, r *http.Request) (*visit, error) {
	v, err := s.visitor(r)
	if err != nil {
		return nil, err
	}
	at := &visit{visitor: v}
	if r.Method == http.MethodPost {
		if v == nil {
			_, err = web.ReadForm(w, r)
		} else {
			at.fields, err = s.post(w, r, v)
		}
		if err != nil {
			return nil, err
		}
	}
	at.continuation = s.continuation(r)
	if v == nil {
		return nil, s.goTo(w, r, "/sign-in", at.continuation)
	}
	if r.Method == http.MethodPost && !v.Session.SupersededAt.IsZero() {
		risen, err := s.again(w, r, v, s.formMark(r, v, at.fields))
		if err != nil || risen == nil {
			return nil, errors.Join(err, s.goTo(w, r, "/challenge", at.continuation))
		}
		return nil, s.dispatch(w, r, risen, at.continuation)
	}
	return at, nil
}
