package challenge

import (
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// resets is the ceremony of forgotten passwords.
type resets struct{ *Site }

// resetPace is how long the answer to a request for a link takes, whether or
// not there is an account: longer than the work of sending one.
const resetPace = 400 * time.Millisecond

// resetFactor is what requests for links are counted under.
const resetFactor = "reset-password"

// askForReset takes a username and sends a link to the address of its account.
// Text, status and time of the answer are the same where there is none (ASVS
// 5.0 6.3.8).
func (s resets) askForReset(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return s.resetPage(w, r, http.StatusOK, "", nil)
	}
	answerAt := time.NewTimer(resetPace)
	defer answerAt.Stop()
	fields, err := s.post(w, r, nil)
	if err != nil {
		return err
	}
	username := fields["username"]
	if account.FoldUsername(username) == "" {
		return s.resetPage(w, r, http.StatusBadRequest, username, []web.FieldError{{Field: "username", Text: "error.no-username-or-email"}})
	}
	try := acquaintances(s).typing(r, username)
	try.Factor = resetFactor
	if _, err := s.Ledger.Spend(r.Context(), s.Plan.Charges(try)...); err != nil {
		fail := (*web.Fail)(nil)
		if !errors.Is(err, throttle.ErrSpent) || !errors.As(s.tooMany(err), &fail) {
			return s.unavailable(err)
		}
		web.SetRetryAfter(w.Header(), fail.RetryAfter)
		return s.resetPage(w, r, fail.Status, username, fail.Excuse())
	}
	if err := s.People.OfferReset(r.Context(), s.Links, username, notices(s).origin(r)); err != nil {
		return s.unavailable(err)
	}
	select {
	case <-answerAt.C:
	case <-r.Context().Done():
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "reset-sent", &resetView{View: s.view(w, r, nil)})
}

func (s resets) resetPage(w http.ResponseWriter, r *http.Request, status int, username string, errs []web.FieldError) error {
	if !s.Links.Mail() {
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "reset.off.title", Advice: "reset.off"}
	}
	view := &resetView{View: s.view(w, r, nil)}
	view.Errors, view.Values = errs, map[string]string{"username": username}
	return s.Pages.Render(w, r, s.Web, status, "reset", view)
}

// choosePassword is the last step of a link.
func (l *link) choosePassword(w http.ResponseWriter, r *http.Request, fields map[string]string) error {
	s := l.s
	if r.Method != http.MethodPost {
		return l.passwordPage(w, r, http.StatusOK, nil)
	}
	chosen := account.Secret(fields["new_password"])
	if text, args := s.Judge(chosen, l.owner, !l.second); text != "" {
		return l.passwordPage(w, r, http.StatusBadRequest, []web.FieldError{{Field: "new_password", Text: text, Args: args}})
	}
	err := s.People.Choose(r.Context(), s.Links, people.Chosen{
		Link: l.t.ID, Owner: l.owner.ID, Purpose: l.purpose, Password: chosen, Phone: l.phone(r), From: notices{s}.whence(r), Origin: notices{s}.origin(r),
	})
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone):
		return &web.Fail{Status: http.StatusGone, Title: "link.gone.title", Advice: "link.gone." + l.purpose}
	case err != nil:
		return s.unavailable(err)
	}
	return s.goTo(w, r, "/sign-in", ceremony.Continuation{
		ID: frontContinuation, Kind: ceremony.Return, Target: "/", At: s.Now().UTC(), Done: "done." + l.purpose, Beside: "done.strength." + s.Strength(chosen),
	})
}

// phone is the credential that a registration ends with: the number that was
// proved.
func (l *link) phone(r *http.Request) *account.Credential {
	if l.purpose != ceremony.Register || l.state.Proved != policy.SMS {
		return nil
	}
	now := l.s.Now().UTC()
	for _, c := range l.held[policy.SMS] {
		if c.ID == contactCredential+account.CredentialID(policy.SMS) {
			c.ID, c.Label, c.Default = account.NewCredentialID(), account.PhoneEnding.In(web.Language(r, l.s.Web))+" "+c.Address[max(0, len(c.Address)-3):], true
			c.CreatedAt, c.LastUsedAt = now, now
			return &c
		}
	}
	return nil
}

func (l *link) passwordPage(w http.ResponseWriter, r *http.Request, status int, errs []web.FieldError) error {
	view := &newPasswordView{View: l.s.view(w, r, nil), Action: l.page, Username: l.owner.Username, Alone: !l.second}
	view.Errors = errs
	return l.s.Pages.Render(w, r, l.s.Web, status, "new-password", view)
}
