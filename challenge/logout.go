package challenge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

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

// maxLogout bounds what an issuer may send, in bytes.
const maxLogout = 64 << 10

// IssuerSays tells whether a request to where issuers send browsers back is
// the issuer's own word about a sign-out.
func (s *Site) IssuerSays(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost:
		return true
	case http.MethodGet:
		q := r.URL.Query()
		return q.Has("sid") && q.Has("iss") && !q.Has("state")
	default:
		return false
	}
}

// HearIssuer ends the sessions that an issuer says are over.
func (s *Site) HearIssuer(w http.ResponseWriter, r *http.Request) {
	web.Harden(w.Header(), s.Web)
	w.Header().Set("Cache-Control", "no-store")
	err := logouts{s}.hearLogout(w, r)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, signin.ErrRefused), errors.Is(err, signin.ErrNobody):
		s.Report(audit.NewReference(), err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_request"}`) // Back-Channel Logout §2.8
	default:
		s.Report(audit.NewReference(), err)
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (s logouts) hearLogout(w http.ResponseWriter, r *http.Request) error {
	form := url.Values{}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxLogout)
		if err := r.ParseForm(); err != nil {
			return errors.Join(signin.ErrRefused, err)
		}
		form = r.PostForm
	}
	for _, source := range s.Redirectors {
		hearer, ok := source.(signin.LogoutHearer)
		if !ok {
			continue
		}
		ended, err := hearer.HearLogout(r.Context(), r.URL.Query(), form)
		if errors.Is(err, signin.ErrNobody) {
			continue
		}
		if err == nil {
			err = s.endElsewhere(r.Context(), source.Name(), ended)
		}
		if err != nil {
			return err
		}
		e := s.event(r, audit.SessionLogout, nil)
		e.Reason = "issuer-said"
		return s.Recorder.Record(r.Context(), e)
	}
	return signin.ErrNobody
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
