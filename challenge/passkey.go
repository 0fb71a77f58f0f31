package challenge

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// passkeys is the ceremony of signing in with a passkey alone.
type passkeys struct{ *Site }

const (
	invitationPurpose = "invitation"
	// invitationSpent is how long a used invitation is remembered: longer
	// than any factor takes an answer to one.
	invitationSpent = time.Hour
)

// recogniser is the factor that can be the sign-in, or nil: it needs a
// sign-in page, which is there for sources that check passwords, and an app
// behind that does not want the password itself.
func (s passkeys) recogniser() factors.Recogniser {
	bound := func(p signin.PasswordChecker) bool { _, is := p.(signin.PasswordBound); return is }
	if len(s.Passwords) == 0 || slices.ContainsFunc(s.Passwords, bound) {
		return nil
	}
	r, _ := s.Factors.Find(policy.WebAuthn).(factors.Recogniser)
	return r
}

// invite puts a passkey's invitation into the sign-in page. Its state is
// sealed for this browser's visit, so that a stranger makes the gateway keep
// nothing.
func (s passkeys) invite(w http.ResponseWriter, r *http.Request, view *signInView) error {
	recogniser := s.recogniser()
	if recogniser == nil {
		return nil
	}
	options, state, err := recogniser.Invite(s.strangerScope(r, "sign-in"))
	if err != nil {
		return err
	}
	sealed, err := s.Sealer.Seal(invitationPurpose, state, s.visitBinding(w, r))
	if err != nil {
		return err
	}
	view.Options, view.Invitation = string(options), base64.RawURLEncoding.EncodeToString(sealed)
	return nil
}

// visitBinding is what an invitation is sealed for.
func (s passkeys) visitBinding(w http.ResponseWriter, r *http.Request) []byte {
	return []byte(s.Place.Origin + " " + s.binding(w, r, nil))
}

// passkeyPost begins a session for whoever a passkey's answer says it is, by the
// user handle in it (WebAuthn §7.2 step 6). Every refusal looks the same, but for
// those that the person can mend.
func (s passkeys) passkeyPost(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, fields map[string]string) error {
	who, err := s.recognise(w, r, fields)
	switch errs := keyError(err); {
	case errs != nil:
		e := signIns(s).signInFailed(r)
		e.Factor, e.Reason = string(policy.WebAuthn), reasonOf(err)
		s.Recorder.Record(r.Context(), e)
		if errors.Is(err, factors.ErrWrongAnswer) {
			errs[0].Text = "error.passkey"
		}
		return signIns(s).signInPage(w, r, v, c, reply{status: http.StatusForbidden, errs: errs})
	case err != nil:
		return s.tooMany(err)
	}
	return s.begin(w, r, v, c, who)
}

// recognised is whom a passkey's answer is of.
type recognised struct {
	owner    account.Account
	verified factors.Verified
}

// recognise spends from the budgets, checks the answer, and lets each
// invitation pass once, on all nodes.
func (s passkeys) recognise(w http.ResponseWriter, r *http.Request, fields map[string]string) (recognised, error) {
	ctx := r.Context()
	recogniser := s.recogniser()
	if recogniser == nil {
		return recognised{}, factors.ErrWrongAnswer
	}
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(throttle.Try{Factor: string(policy.WebAuthn), Address: s.Address(r)})...)
	if err != nil {
		return recognised{}, err
	}
	state, err := s.openInvitation(w, r, fields["invitation"])
	if err != nil {
		return recognised{}, err
	}
	verified, err := recogniser.Recognise(ctx, s.strangerScope(r, "sign-in"), state, factors.Answer{Fields: fields})
	if err != nil {
		if keyError(err) == nil {
			err = errors.Join(err, s.Ledger.Refund(ctx, receipt))
		}
		return recognised{}, err
	}
	owner, err := s.ownerOf(ctx, verified.Credential)
	if err != nil {
		return recognised{}, err
	}
	if err := s.burn(ctx, state); err != nil {
		return recognised{}, err
	}
	return recognised{owner, verified}, s.Ledger.Success(ctx, receipt)
}

func (s passkeys) openInvitation(w http.ResponseWriter, r *http.Request, text string) (factors.State, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, factors.ErrExpired
	}
	state, err := s.Sealer.Open(invitationPurpose, sealed, s.visitBinding(w, r))
	if err != nil {
		return nil, factors.ErrExpired
	}
	return state, nil
}

// ownerOf finds the account of a credential, if it may sign in here. That it
// may not looks like a credential that nobody has.
func (s passkeys) ownerOf(ctx context.Context, c account.Credential) (account.Account, error) {
	owner, err := s.Store.Account(ctx, c.Account)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return account.Account{}, err
	}
	own := func(source signin.PasswordChecker) bool { return source.Name() == owner.Source }
	if err != nil || !slices.ContainsFunc(s.Passwords, own) {
		return account.Account{}, factors.ErrWrongAnswer
	}
	err = signIns(s).admissible(ctx, owner)
	if errors.Is(err, account.ErrNotFound) {
		return account.Account{}, factors.ErrWrongAnswer
	}
	return owner, err
}

// burn spends an invitation: factors.ErrExpired when it was spent before.
func (s passkeys) burn(ctx context.Context, state factors.State) error {
	_, err := s.Ledger.Spend(ctx, throttle.Charge{
		Key: throttle.NewKey(s.Plan.MAC, invitationPurpose, string(state)), Which: invitationPurpose,
		Budget: throttle.Attempts{Free: 1, Delays: []time.Duration{invitationSpent}},
	})
	if errors.Is(err, throttle.ErrSpent) {
		return factors.ErrExpired
	}
	return err
}

// begin makes a session of a successful sign-in.
func (s passkeys) begin(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, who recognised) error {
	proof := proofOf(policy.WebAuthn, who.verified, s.Now().UTC())
	b, score := signIns(s).scored(r, signIns(s).beginning(r, who.owner, proof), 0, false)
	entry, err := signIns(s).admitSession(w, r, v, b)
	if err != nil {
		return s.unavailable(err)
	}
	s.risen(w, r, entry, proof, deviceChoices(s).asksDevice(entry, c))
	e := s.event(r, audit.LoginSuccess, entry)
	e.Factor, e.Credential, e.Detail = string(proof.Factor), proof.Credential, score.Detail
	if err := notices(s).signedIn(r, entry, e); err != nil {
		return s.unavailable(err)
	}
	return s.dispatch(w, r, entry, c)
}
