package challenge

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// This file is about answers that get lost on their way to the browser: the
// right code was taken and the session has risen, and the browser, which has
// not heard of it, sends the same form again with its old cookie.

// formMark recognises a form with all that was typed into it. The form's token
// differs each time that a page is shown, so that no other form has it.
func (s *Site) formMark(r *http.Request, v *session.Entry, fields map[string]string) string {
	parts := [][]byte{[]byte(v.Session.ID), []byte(r.URL.Path)}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, []byte(name), []byte(fields[name]))
	}
	return base64.RawURLEncoding.EncodeToString(s.Guard.MAC("form of a proof", parts...)[:16])
}

// again gives the browser its new identifier once more, if this very form
// raised its session within the time in which the old one still works. Nil
// where it did not.
func (s *Site) again(w http.ResponseWriter, r *http.Request, v *session.Entry, form string) (*session.Entry, error) {
	now, err := s.Sessions.Current(r.Context(), v)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, s.unavailable(err)
	}
	raised := slices.ContainsFunc(now.Proofs, func(p policy.Proof) bool {
		return form != "" && p.Form == form && s.Now().Sub(p.At) < session.Overlap
	})
	if !raised {
		return nil, nil
	}
	risen, err := s.Sessions.Again(r.Context(), w, s.Place, v)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.unavailable(err)
	}
	return risen, nil
}
