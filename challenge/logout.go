package challenge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
)

// logouts is the ceremony of sign-outs that an issuer tells of.
type logouts struct{ *Site }

// This file is for issuers that say by themselves that somebody has signed out
// there: by a call of their own, or by a frame that they show in the person's
// browser. Neither is a visit to a page, and neither needs a cookie.

// maxLogout and maxPosted bound what an issuer may send, in bytes: a token, and
// XML that a browser posts.
const (
	maxLogout = 64 << 10
	maxPosted = 1 << 20
)

const (
	oidcPath = "/oidc"
	samlPath = "/saml"
)

// callback is where a source's issuer sends browsers back.
func (s logouts) callback(source signin.Redirector) string {
	path := oidcPath
	if posts(source) {
		path = samlPath
	} else if source.Name() == JoinSource {
		path = joinPath
	}
	return s.Place.Origin + s.Web.Path(path)
}

// FromIssuer tells whether a request for a page at a path below the prefix is
// an issuer's own word, rather than a browser that comes back.
func (s *Site) FromIssuer(path string, r *http.Request) bool {
	q := r.URL.Query()
	switch {
	case path == oidcPath && r.Method == http.MethodGet:
		return q.Has("sid") && q.Has("iss") && !q.Has("state")
	case path == samlPath && r.Method == http.MethodGet:
		return !q.Has("state") && slices.ContainsFunc(s.Redirectors, posts)
	default:
		return r.Method == http.MethodPost && (path == oidcPath || path == samlPath && slices.ContainsFunc(s.Redirectors, posts))
	}
}

func posts(source signin.Redirector) bool {
	_, ok := source.(signin.Receiver)
	return ok
}

// HearIssuer serves what FromIssuer is true of.
func (s *Site) HearIssuer(path string, w http.ResponseWriter, r *http.Request) {
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Cache-Control", "no-store")
	limit := int64(maxLogout)
	if path == samlPath {
		limit = maxPosted
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if err := r.ParseForm(); err != nil {
		logouts{s}.answerIssuer(w, errors.Join(signin.ErrRefused, err))
		return
	}
	q := r.URL.Query()
	switch {
	case path == samlPath && r.Method == http.MethodPost && r.PostForm.Has("SAMLResponse"):
		s.Pages.Handle(s.Web, departures{s}.receive).ServeHTTP(w, r)
	case path == samlPath && q.Has("SAMLResponse"): // the answer to our own sign-out
		w.Header().Set("Location", s.Web.Path("/sign-out"))
		w.WriteHeader(http.StatusSeeOther)
	case path == samlPath && r.Method == http.MethodGet && !q.Has("SAMLRequest"):
		departures{s}.metadata(w)
	default:
		answer, err := logouts{s}.hearLogout(r, s.Place.Origin+s.Web.Path(path))
		if err == nil && answer != "" {
			w.Header().Set("Location", answer)
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		logouts{s}.answerIssuer(w, err)
	}
}

// answerIssuer answers a call of an issuer's in its own words (Back-Channel
// Logout §2.8). What was wrong is for the operator's log.
func (s logouts) answerIssuer(w http.ResponseWriter, err error) {
	if err != nil {
		s.Report(audit.NewReference(), err)
	}
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, signin.ErrRefused), errors.Is(err, signin.ErrNobody):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_request"}`)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// hearLogout ends the sessions that an issuer says are over, and returns where
// to send the browser with the answer.
func (s logouts) hearLogout(r *http.Request, page string) (answer string, err error) {
	for _, source := range s.Redirectors {
		hearer, ok := source.(signin.LogoutHearer)
		if !ok || s.callback(source) != page {
			continue
		}
		ended, err := hearer.HearLogout(r, page)
		if errors.Is(err, signin.ErrNobody) {
			continue
		}
		if err == nil {
			err = s.endElsewhere(r.Context(), source.Name(), ended)
		}
		if err != nil {
			return "", err
		}
		e := s.event(r, audit.SessionLogout, nil)
		e.Reason = "issuer-said"
		return ended.Answer, s.Recorder.Record(r.Context(), e)
	}
	return "", signin.ErrNobody
}

// endElsewhere ends one session of the issuer's, or all of a person's where it
// names none.
func (s logouts) endElsewhere(ctx context.Context, source string, ended signin.Ended) error {
	if ended.IssuerSession != "" {
		return s.Sessions.EndIssuerSession(ctx, source, ended.IssuerSession)
	}
	owner, err := s.Store.AccountBySubject(ctx, source, ended.Subject)
	if errors.Is(err, account.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Sessions.EndAccount(ctx, owner.ID)
}
