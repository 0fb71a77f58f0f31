package watched

import (
	"net/http"

	"go.uber.org/zap"
)

// Leaving is an answer of the app's own sign-out: with it the session ends.
type Leaving struct {
	Site    *Site
	Visitor Visitor // somebody
	// Below says that the visitor does not meet the levels of the path: of the
	// answer no more is shown than that it was a sign-out.
	Below bool
}

// End takes the session away with an answer that is no error: an app that
// refuses to sign out keeps its person.
func (l *Leaving) End(w http.ResponseWriter, r *http.Request, status int) {
	if status >= 400 {
		return
	}
	s, row := l.Site, l.Visitor.Entry.Session
	s.Turns.End(row.ID, row.EndsAt, s.Now())
	if err := s.Ceremonies.Leave(r.Context(), w, r, l.Visitor.Entry); err != nil {
		s.Log.Error("end the session of somebody who signed out in the app", zap.Error(err))
	}
}

// Hide leaves of an answer its cookies and where it leads, and gives the status
// that it has then.
func (l *Leaving) Hide(status int, h http.Header) int {
	for name := range h {
		if name != "Set-Cookie" && name != "Location" {
			delete(h, name)
		}
	}
	if status >= 400 || h.Get("Location") != "" {
		return status
	}
	h.Set("Location", l.Site.Form.LoginTarget())
	return http.StatusSeeOther
}
