package challenge

import (
	"net/http"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
)

// signOut asks on GET and does it on POST. Somebody who is not signed in is
// told that they are not, on both.
func (s *Site) signOut(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodPost:
		return s.signOutPost(w, r, v)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD, POST"}
	case v == nil:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "signed-out", &signOutView{})
	default:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "sign-out", &signOutView{View: s.view(w, r, v)})
	}
}

// signOutPost ends the session on every node. The old cookies of a browser
// that is signed out already are taken away all the same.
func (s *Site) signOutPost(w http.ResponseWriter, r *http.Request, v *session.Entry) error {
	if v != nil {
		if _, err := s.post(w, r, v); err != nil {
			return err
		}
		if err := s.Recorder.Record(r.Context(), s.event(r, audit.SessionLogout, v)); err != nil {
			return s.unavailable(err)
		}
		if err := s.Sessions.End(r.Context(), w, s.Place, v); err != nil {
			return s.unavailable(err)
		}
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	return web.Redirect(w, r, s.Web, s.Web.Path("/sign-out"))
}
