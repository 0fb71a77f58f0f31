package challenge

import (
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
)

// signOuts is the ceremony of signing out.
type signOuts struct{ *Site }

// signOut asks on GET and does it on POST. Somebody who is not signed in is
// told that they are not, on both.
func (s signOuts) signOut(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodPost:
		return s.signOutPost(w, r, v)
	case v == nil:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "signed-out", &signOutView{})
	default:
		return s.Pages.Render(w, r, s.Web, http.StatusOK, "sign-out", &signOutView{View: s.view(w, r, v)})
	}
}

// signOutPost ends the session on every node (ASVS 5.0 7.4.1). The old cookies
// of a browser that is signed out already are taken away all the same.
func (s signOuts) signOutPost(w http.ResponseWriter, r *http.Request, v *session.Entry) error {
	away := ""
	if v != nil {
		if _, err := s.post(w, r, v); err != nil {
			return err
		}
		away = s.signOutThere(r, v)
		if err := s.Recorder.Record(r.Context(), s.event(r, audit.SessionLogout, v)); err != nil {
			return s.unavailable(err)
		}
		if err := s.Sessions.End(r.Context(), w, s.Place, v); err != nil {
			return s.unavailable(err)
		}
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	if away != "" {
		web.Harden(w.Header(), s.Web)
		w.Header().Set("Location", away)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return web.Redirect(w, r, s.Web, s.Web.Path("/sign-out"))
}

// signOutThere is where the browser goes so that the person is signed out where
// they signed in too, "" where that is here, or cannot be done now: they are
// signed out here all the same.
func (s signOuts) signOutThere(r *http.Request, v *session.Entry) string {
	note, err := s.Sessions.Store.SessionNote(r.Context(), v.Session.ID)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return ""
	}
	at, joined := departures(s).redirector(v.Session.Source).(*Join)
	if !joined {
		return s.endedThere(r, v.Session.Source, note)
	}
	location, err := joins(s).signOutAt(r.Context(), at, note)
	if err != nil {
		s.Report(audit.NewReference(), err)
	}
	return location
}

// endedThere is where a source of this site sends somebody who has signed out,
// "" for nowhere.
func (s signOuts) endedThere(r *http.Request, source string, note []byte) string {
	there, ok := departures(s).redirector(source).(signin.Ender)
	if !ok {
		return ""
	}
	location, err := there.SignOut(r.Context(), note, s.Place.Origin+s.Web.Path("/sign-out"))
	if err != nil {
		s.Report(audit.NewReference(), err)
		return ""
	}
	return location
}
