package challenge

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
)

// This file is for issuers that have the browser post their answer (sign_in
// saml). Such a form comes from another site and brings no cookie of ours: the
// answer is checked and kept, once (SAML 2.0 Profiles §4.1.4.5), and the browser
// is sent on to take it up with the cookie of its departure.

const answerPurpose = "answer"

// posted is a kept answer.
type posted struct {
	Source string        `json:"source"`
	Answer signin.Answer `json:"answer"`
}

// receive takes what an issuer had a browser post.
func (s departures) receive(w http.ResponseWriter, r *http.Request) error {
	for _, source := range s.Redirectors {
		receiver, ok := source.(signin.Receiver)
		if !ok {
			continue
		}
		answer, err := receiver.Receive(r.Context(), logouts(s).callback(source), r.PostForm)
		switch {
		case errors.Is(err, signin.ErrNobody):
			continue
		case errors.Is(err, signin.ErrSignedOut):
			return web.Redirect(w, r, s.Web, s.Web.Path("/sign-out"))
		case errors.Is(err, signin.ErrRefused):
			return s.refusedElsewhere(w, r, nil, departure{Goes: s.continuation(r)}, err)
		case err != nil:
			return &web.Fail{Status: http.StatusServiceUnavailable, Title: "elsewhere.down", Advice: "elsewhere.down.advice", Err: err}
		}
		return s.keepAnswer(w, r, source, answer)
	}
	return s.refusedElsewhere(w, r, nil, departure{Goes: s.continuation(r)}, signin.ErrNobody)
}

var errAnsweredBefore = errors.New("challenge: an issuer's answer came a second time")

// keepAnswer keeps an answer under its own name, for as long as it could come
// again, and sends the browser to take it up.
func (s departures) keepAnswer(w http.ResponseWriter, r *http.Request, source signin.Redirector, answer signin.Answer) error {
	state, err := json.Marshal(posted{source.Name(), answer})
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(source.Name() + "\x00" + answer.ID))
	now := s.Now().UTC()
	mine := ceremony.Transaction{
		ID: rand.Text(), Key: answerPurpose + " " + hex.EncodeToString(sum[:]), Site: s.Place.Origin, Purpose: answerPurpose,
		State: state, CreatedAt: now, ExpiresAt: answer.Until.UTC(),
	}
	stored, err := s.Store.OpenTransaction(r.Context(), mine, now)
	if err != nil {
		return s.unavailable(err)
	}
	if stored.ID != mine.ID {
		return s.refusedElsewhere(w, r, nil, departure{Goes: s.continuation(r)}, errAnsweredBefore)
	}
	w.Header().Set("Location", logouts(s).callback(source)+"?"+url.Values{"state": {answer.Key}, "code": {mine.ID}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// takeAnswer takes a kept answer up, once. It stays known until it can no
// longer come again.
func (s departures) takeAnswer(r *http.Request, source signin.Redirector) (*signin.Answer, error) {
	now := s.Now().UTC()
	stored, err := s.Store.Transaction(r.Context(), r.URL.Query().Get("code"), now)
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return nil, errors.Join(signin.ErrRefused, err)
	}
	if err != nil {
		return nil, err
	}
	var p posted
	if stored.Purpose != answerPurpose || stored.Site != s.Place.Origin || json.Unmarshal(stored.State, &p) != nil || p.Source != source.Name() {
		return nil, errors.Join(signin.ErrRefused, errAnsweredBefore)
	}
	stored.State = []byte("taken up")
	if err := s.Store.SaveTransaction(r.Context(), stored, now); errors.Is(err, ceremony.ErrTransactionGone) {
		return nil, errors.Join(signin.ErrRefused, err)
	} else if err != nil {
		return nil, err
	}
	return &p.Answer, nil
}

// metadata tells an issuer about this site.
func (s departures) metadata(w http.ResponseWriter) {
	at := slices.IndexFunc(s.Redirectors, posts)
	text, err := s.Redirectors[at].(signin.Receiver).Metadata(logouts(s).callback(s.Redirectors[at]))
	if err != nil {
		logouts(s).answerIssuer(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Write(text)
}
