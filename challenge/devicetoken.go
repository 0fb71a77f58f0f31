package challenge

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

// This file is the soft token of a private device: how it comes about on a page
// of a PIN, how it is kept, and how it ends after too many wrong PINs.

// makingScope is the scope in which a token is made.
func (s deviceChoices) makingScope(r *http.Request, v *session.Entry) factors.Scope {
	scope := s.scope(r, v, "device")
	scope.Transaction = choiceID(v)
	return scope
}

// inviteToken gives what a page of a PIN needs so that the browser can make a
// token on the way.
func (s deviceChoices) inviteToken(r *http.Request, v *session.Entry) ([]byte, error) {
	chosen, err := s.openChoice(r.Context(), v)
	if err != nil {
		return nil, err
	}
	options, state, err := s.resident().Invite(s.makingScope(r, v), chosen.Making)
	if err != nil || slices.Equal(state, chosen.Making) {
		return options, err
	}
	chosen.Making = state
	return options, s.saveChoice(r.Context(), chosen)
}

// takeToken remembers the token that came with a form. A browser without a
// script offers none, and a wrong one is none: it only cannot be private then.
func (s deviceChoices) takeToken(r *http.Request, v *session.Entry, answer factors.Answer) (choosing, error) {
	chosen, err := s.openChoice(r.Context(), v)
	if err != nil || answer.Fields["credential"] == "" {
		return chosen, err
	}
	state, err := s.resident().Offer(s.makingScope(r, v), chosen.Making, answer)
	if err != nil {
		return chosen, nil
	}
	chosen.Making = state
	if err := s.saveChoice(r.Context(), chosen); err != nil {
		return chosen, err
	}
	chosen.t.Version++
	return chosen, nil
}

// settleDevice keeps the token that the browser has offered: from now on the
// browser is a private device of v's account.
func (s deviceChoices) settleDevice(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, chosen choosing) error {
	ctx, now, owner := r.Context(), s.Now().UTC(), v.Owner.Account.ID
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	ends := now.Add(s.deviceLife())
	credential, err := s.resident().Settle(s.makingScope(r, v), chosen.Making, device.Name(r.UserAgent()), ends)
	if err != nil {
		return s.trouble(err)
	}
	credential.ID, credential.Account, credential.CreatedAt, credential.LastUsedAt = account.NewCredentialID(), owner, now, now
	s.bindDevice(&credential, v, held, now)
	e := s.event(r, audit.DeviceTrusted, v)
	e.Factor, e.Credential = credential.Factor, string(credential.ID)
	messages, err := notices(s).tell(r, v, people.ToldDeviceAdded, credential)
	if err != nil {
		return s.unavailable(err)
	}
	err = s.Store.Enrol(ctx, ceremony.Enrolled{
		Transaction: chosen.t.ID, Credential: credential, Replaces: s.devices().Of(r, owner), Event: e, Messages: messages,
	}, now)
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone):
		return s.dispatch(w, r, v, c)
	case err != nil:
		return s.unavailable(err)
	}
	notices(s).sent(messages)
	if err := s.devices().Keep(w, r, device.Held{Account: owner, Device: credential.ID, Until: ends.Unix()}); err != nil {
		return err
	}
	risen, err := s.raise(w, r, v, proofOf(policy.DevicePIN, factors.Verified{Credential: credential}, now))
	if err != nil {
		return err
	}
	return s.dispatch(w, r, risen, c)
}

// bindDevice says what a new token counts for: what the session has proved
// just now vouches for it.
func (s deviceChoices) bindDevice(credential *account.Credential, v *session.Entry, held holdings, now time.Time) {
	for _, p := range v.Session.Proofs {
		recent := now.Sub(p.At) < ceremony.TransactionTTL || p.Factor == policy.Password
		if !recent || p.Once != "" && p.Once != forgottenPIN {
			continue
		}
		for _, f := range effective(p, now) {
			credential.BoundBy = append(credential.BoundBy, string(f))
		}
	}
	if held.second() && !temporary(v, now.Add(-ceremony.TransactionTTL)) && s.BindingDelay > 0 {
		credential.CountsFrom = now.Add(s.BindingDelay)
	}
}

// destroyed ends a token after too many wrong PINs: here, in the account, and
// in its sessions. The person is told, and goes another way.
func (k *walk) destroyed(w http.ResponseWriter, r *http.Request) error {
	ctx, owner := r.Context(), k.v.Owner.Account.ID
	id := k.s.devices().Of(r, owner)
	e := k.s.event(r, audit.DeviceRevoked, k.v)
	e.Factor, e.Credential, e.Reason = string(policy.DevicePIN), string(id), "too-many-wrong-answers"
	gone := account.Credential{Label: device.Name(r.UserAgent())}
	for _, c := range k.held {
		if c.ID == id {
			gone = c
		}
	}
	messages, err := notices{k.s}.tell(r, k.v, people.ToldDeviceLocked, gone)
	if err != nil {
		return k.s.unavailable(err)
	}
	switch err := k.s.Store.RevokeDevice(ctx, owner, id, e, messages); {
	case errors.Is(err, account.ErrNotFound): // by another try, a moment ago
	case err != nil:
		return k.s.unavailable(err)
	default:
		notices{k.s}.sent(messages)
	}
	if err := k.s.devices().Forget(w, r, owner); err != nil {
		return err
	}
	c := k.c
	c.Done = "done.device-destroyed"
	return k.s.goTo(w, r, "/challenge", c)
}
