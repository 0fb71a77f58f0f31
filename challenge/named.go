package challenge

import (
	"errors"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/policy"
)

// This file is for people whom somebody before the gateway has let in (sign_in
// trusted). Every request says who it is, so that their session holds as long
// as the requests say the same.

// Vouched gives the session back if a request names its person, where the
// session's source names people at every request; otherwise it ends the
// session and gives nil. e may be nil.
func (s *Site) Vouched(r *http.Request, e *session.Entry) (*session.Entry, error) {
	if e == nil || !slices.ContainsFunc(s.Asserters, func(a signin.Asserter) bool { return a.Name() == e.Session.Source }) {
		return e, nil
	}
	who, err := signin.Heard(r.Context())
	if err == nil && who.Source == e.Owner.Account.Source && who.Subject == e.Owner.Account.Subject {
		return e, nil
	}
	left := s.event(r, audit.SessionLogout, e)
	left.Reason = "named-otherwise"
	return nil, errors.Join(s.Sessions.EndID(r.Context(), e.Session.ID), s.Recorder.Record(r.Context(), left))
}

// EnterNamed begins a session of whom a request names. signin.ErrRefused says
// that it names somebody in a way that is not to be believed, or somebody who
// has no account here.
func (s *Site) EnterNamed(w http.ResponseWriter, r *http.Request) (*session.Entry, error) {
	who, err := signin.Heard(r.Context())
	var entered *session.Entry
	if err == nil {
		entered, err = s.Enter(w, r, nil, who)
	}
	if errors.Is(err, signin.ErrRefused) {
		e := s.event(r, audit.LoginFail, nil)
		e.Factor, e.Reason = string(policy.Password), "refused-named"
		return nil, errors.Join(err, s.Recorder.Record(r.Context(), e))
	}
	return entered, err
}
