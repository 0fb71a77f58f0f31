package challenge

import (
	"context"
	"encoding/json"
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
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is the step `device`: the choice between a public and a private
// device, and the soft token that a private one gets. A level that names the
// step in its `enrol` asks for the choice once in each session whose browser
// has not proved to be a private device.

const (
	devicePage = "/enrol/device"
	// tokenPage makes a token where no page of a PIN has done so on the way.
	tokenPage = "/enrol/device_pin"
)

// choice is what the step remembers of a session, in a transaction of its own.
type choice struct {
	// Private says that the person has chosen so; the token is to be made.
	Private bool `json:"private,omitempty"`
	// Making is the factor's own.
	Making factors.State `json:"making,omitempty"`
}

// choosing is a session's choice with the transaction that keeps it.
type choosing struct {
	choice
	t ceremony.Transaction
}

// resident is the factor of soft tokens; nil where it is not offered.
func (s *Site) resident() factors.Resident {
	r, _ := s.Factors.Find(policy.DevicePIN).(factors.Resident)
	return r
}

// devices is the cookie of this site's private devices.
func (s *Site) devices() device.Cookie {
	return device.Cookie{Sealer: s.Sealer, Origin: s.Place.Origin, Secure: s.Place.Secure, Now: s.Now}
}

// asksDevice tells whether what c needs wants v's device chosen, and it is not.
func (s *Site) asksDevice(v *session.Entry, c ceremony.Continuation) bool {
	if v.Session.Device != "" || c.Kind == ceremony.Operate || c.Policy != s.Policy.Fingerprint() || s.resident() == nil {
		return false
	}
	return slices.ContainsFunc(s.Policy.Levels(), func(l *policy.Level) bool {
		return c.Needs&l.Set() != 0 && slices.Contains(l.Enrol(), policy.EnrolDevice)
	})
}

// deviceNext is the page of the step that is due, or "". It is due once all
// else is proved, or where there is more to prove, between the first proof
// beyond the sign-in and the rest.
func (s *Site) deviceNext(r *http.Request, v *session.Entry, c ceremony.Continuation, held holdings) (string, error) {
	if !s.asksDevice(v, c) || !s.satisfied(v, c) && !(s.begun(v, c) && len(s.offer(v, c, held).factors) > 0) {
		return "", nil
	}
	chosen, err := s.chosen(r.Context(), v)
	if err == nil && chosen.Private {
		return tokenPage, nil
	}
	return devicePage, err
}

// begun tells whether v has proved anything that c's levels name beyond the
// sign-in.
func (s *Site) begun(v *session.Entry, c ceremony.Continuation) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool {
		return p.Factor != policy.Password && s.Policy.CountsFor(p, v.Session.Proofs, s.Now())&c.Needs != 0
	})
}

// chosen reads v's choice; the zero one where there is none yet.
func (s *Site) chosen(ctx context.Context, v *session.Entry) (choosing, error) {
	var chosen choosing
	t, err := s.Store.Transaction(ctx, choiceID(v), s.Now().UTC())
	switch {
	case errors.Is(err, ceremony.ErrTransactionGone):
		return chosen, nil
	case err != nil:
		return chosen, s.unavailable(err)
	}
	return read(t)
}

func read(t ceremony.Transaction) (chosen choosing, err error) {
	chosen.t = t
	if len(t.State) > 0 {
		err = json.Unmarshal(t.State, &chosen.choice)
	}
	return chosen, err
}

// choiceID is the transaction of a session's choice, whatever led to it.
func choiceID(v *session.Entry) string { return string(v.Session.ID) + devicePage }

// openChoice reads v's choice, or begins it.
func (s *Site) openChoice(ctx context.Context, v *session.Entry) (choosing, error) {
	now, owner := s.Now().UTC(), v.Owner.Account.ID
	t, err := s.Store.OpenTransaction(ctx, ceremony.Transaction{
		ID: choiceID(v), Session: v.Session.ID, Key: devicePage, Actor: owner, Subject: owner, Site: s.Place.Origin,
		Purpose: "device", Factor: policy.DevicePIN, CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		return choosing{}, s.unavailable(err)
	}
	return read(t)
}

func (s *Site) saveChoice(ctx context.Context, chosen choosing) error {
	state, err := json.Marshal(chosen.choice)
	if err != nil {
		return err
	}
	chosen.t.State = state
	if err := s.Store.SaveTransaction(ctx, chosen.t, s.Now().UTC()); err != nil {
		return s.unavailable(err)
	}
	return nil
}

// makingScope is the scope in which a token is made.
func (s *Site) makingScope(r *http.Request, v *session.Entry) factors.Scope {
	scope := s.scope(r, v, "device")
	scope.Transaction = choiceID(v)
	return scope
}

// inviteToken gives what a page of a PIN needs so that the browser can make a
// token on the way.
func (s *Site) inviteToken(r *http.Request, v *session.Entry) ([]byte, error) {
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
func (s *Site) takeToken(r *http.Request, v *session.Entry, answer factors.Answer) (choosing, error) {
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

// chooseDevice is the page of the choice.
func (s *Site) chooseDevice(w http.ResponseWriter, r *http.Request) error {
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	if !s.asksDevice(v, c) || !s.satisfied(v, c) && !s.begun(v, c) {
		return s.dispatch(w, r, v, c)
	}
	chosen, err := s.openChoice(r.Context(), v)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return s.showDevice(w, r, v, c, chosen, "")
	}
	switch at.fields["device"] {
	case device.Public:
		return s.choosePublic(w, r, v, c)
	case device.Private:
		if at.fields["able"] == "" {
			return s.showDevice(w, r, v, c, chosen, "error.device.script")
		}
		return s.choosePrivate(w, r, v, c, chosen)
	default:
		return s.showDevice(w, r, v, c, chosen, "error.device.choose")
	}
}

// deviceView is the view of device.html.
type deviceView struct {
	web.View
	Continuation string
	// Options is the JSON for the script: the browser's name for a token that
	// was made on the way, which a public device forgets.
	Options string
	// Days is how long a private device is one.
	Days int
}

func (s *Site) showDevice(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, chosen choosing, wrong string) error {
	sealed, err := c.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return err
	}
	key, _ := s.resident().Offered(chosen.Making)
	options, err := json.Marshal(map[string]string{"key": key})
	if err != nil {
		return err
	}
	view := &deviceView{View: s.view(w, r, v), Continuation: sealed, Options: string(options), Days: int(s.deviceLife().Hours() / 24)}
	status := http.StatusOK
	if wrong != "" {
		status, view.Errors = http.StatusBadRequest, []web.FieldError{{Field: "device", Text: wrong}}
	}
	return s.Pages.Render(w, r, s.Web, status, "device", view)
}

func (s *Site) deviceLife() time.Duration {
	if s.DeviceLife > 0 {
		return s.DeviceLife
	}
	return device.DefaultLife
}

// choosePublic makes this a session on a browser that others use as well, and
// leaves nothing in it but the session.
func (s *Site) choosePublic(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
	risen, err := s.Sessions.Raise(r.Context(), w, s.Place, v, func(row *session.Session) error {
		row.Device, row.DeviceID = device.Public, ""
		return nil
	})
	if errors.Is(err, session.ErrNotFound) {
		return s.dispatch(w, r, nil, c)
	}
	if err != nil {
		return s.unavailable(err)
	}
	s.forget(w, r, v.Owner.Account.ID)
	return s.dispatch(w, r, risen, c)
}

// choosePrivate goes on with the token that was made on the way, or to the page
// that makes one.
func (s *Site) choosePrivate(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, chosen choosing) error {
	if _, ready := s.resident().Offered(chosen.Making); ready {
		return s.settleDevice(w, r, v, c, chosen)
	}
	chosen.Private = true
	if err := s.saveChoice(r.Context(), chosen); err != nil {
		return err
	}
	return s.dispatch(w, r, v, c)
}

// settleDevice keeps the token that the browser has offered: from now on the
// browser is a private device of v's account.
func (s *Site) settleDevice(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, chosen choosing) error {
	ctx, now, owner := r.Context(), s.Now().UTC(), v.Owner.Account.ID
	held, err := s.held(r, v)
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
	messages, err := s.tell(r, v, people.ToldDeviceAdded, credential)
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
	s.sent(messages)
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
func (s *Site) bindDevice(credential *account.Credential, v *session.Entry, held holdings, now time.Time) {
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

// makeToken is the page that asks for the PIN to make the token with: one that
// the person has, or one that is chosen now.
func (s *Site) makeToken(w http.ResponseWriter, r *http.Request) error {
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	chosen, err := s.chosen(r.Context(), v)
	if err != nil {
		return err
	}
	if !chosen.Private || !s.asksDevice(v, c) {
		return s.dispatch(w, r, v, c)
	}
	held, err := s.held(r, v)
	if err != nil {
		return err
	}
	if s.Factors.Find(policy.PIN) == nil {
		return s.stuck(w, r, v, c)
	}
	k := &pinMaking{walk: *s.walk(v, c, policy.PIN, held)}
	k.page, k.others, k.choosing = tokenPage, false, len(held.all[policy.PIN]) == 0
	if r.Method != http.MethodPost {
		return k.show(w, r, nil)
	}
	k.form = s.formMark(r, v, at.fields)
	return k.answer(w, r, factors.Answer{Fields: at.fields})
}

// pinMaking is a page of a PIN that makes a token with it.
type pinMaking struct {
	walk
	// choosing says that the PIN is a new one; replacing that it takes the
	// place of the one before.
	choosing, replacing bool
	// plain says that no token is made after all.
	plain bool
}

func (k *pinMaking) show(w http.ResponseWriter, r *http.Request, errs []web.FieldError) error {
	prompt, _, err := k.factor.Prepare(r.Context(), k.s.scope(r, k.v, k.purpose), k.held, nil, false)
	if err == nil && !k.plain {
		prompt.Options, err = k.s.inviteToken(r, k.v)
	}
	if err != nil {
		return k.s.trouble(err)
	}
	return k.render(w, r, prompt, errs, k.choosing)
}

// answer compares or keeps the PIN, and then keeps the token.
func (k *pinMaking) answer(w http.ResponseWriter, r *http.Request, answer factors.Answer) error {
	ctx := r.Context()
	receipt, err := k.spend(r)
	if err != nil && k.stopped(err) {
		return k.show(w, r, k.fail.Excuse())
	}
	if err != nil {
		return k.s.throttled(err, false)
	}
	proof, err := k.prove(r, answer)
	if errs := answerError(policy.PIN, err); errs != nil {
		if recorded := k.failed(r, err); recorded != nil {
			return recorded
		}
		return k.show(w, r, errs)
	}
	if err != nil {
		return k.s.trouble(errors.Join(err, k.s.Ledger.Refund(ctx, receipt)))
	}
	if err := k.s.Ledger.Success(ctx, receipt); err != nil {
		return k.s.unavailable(err)
	}
	var chosen choosing
	if !k.plain {
		if chosen, err = k.s.takeToken(r, k.v, answer); err != nil {
			return err
		}
	}
	risen, err := k.rise(w, r, proof)
	if err != nil || risen == nil || k.plain {
		return k.goOnAgain(w, r, risen, err)
	}
	if _, ready := k.s.resident().Offered(chosen.Making); !ready {
		// The script could not do it: the choice is asked for again.
		chosen.Private = false
		if err := k.s.saveChoice(ctx, chosen); err != nil {
			return err
		}
		return k.s.dispatch(w, r, risen, k.c)
	}
	return k.s.settleDevice(w, r, risen, k.c, chosen)
}

// prove gives the proof of the PIN: of the one that is held, or of one that
// is kept now.
func (k *pinMaking) prove(r *http.Request, answer factors.Answer) (policy.Proof, error) {
	ctx, now := r.Context(), k.s.Now().UTC()
	scope := k.s.scope(r, k.v, k.purpose)
	if !k.choosing {
		verified, err := k.factor.Verify(ctx, scope, k.held, nil, answer)
		return proofOf(policy.PIN, verified, now), err
	}
	enroller, ok := k.s.Factors.Enroller(policy.PIN)
	if !ok {
		return policy.Proof{}, factors.ErrUnavailable
	}
	credential, err := enroller.ConfirmEnrolment(ctx, scope, nil, nil, answer)
	if err != nil {
		return policy.Proof{}, err
	}
	t, err := k.open(ctx)
	if err != nil {
		return policy.Proof{}, err
	}
	credential.Factor = string(policy.PIN)
	k.s.bindDevice(&credential, k.v, holdings{}, now)
	if credential, err = k.s.enrol(r, k.v, ceremony.Enrolled{Transaction: t.ID, Credential: credential, Sole: k.replacing}); err != nil {
		return policy.Proof{}, err
	}
	return proofOf(policy.PIN, factors.Verified{Credential: credential}, now), k.clear(r)
}

// clear forgets the wrong tries of the PIN that was replaced.
func (k *pinMaking) clear(r *http.Request) error {
	return k.s.Ledger.Clear(r.Context(), k.s.Plan.Charges(k.try(r))...)
}

// failed keeps the event of a wrong answer; a PIN that may not be chosen is
// none.
func (k *walk) failed(r *http.Request, cause error) error {
	if unsuitable := (*factors.Unsuitable)(nil); errors.As(cause, &unsuitable) {
		return nil
	}
	e := k.s.event(r, audit.ChallengeFailed, k.v)
	e.Factor, e.Reason = string(k.factor.Kind()), reasonOf(cause)
	if err := k.s.Recorder.Record(r.Context(), e); err != nil {
		return k.s.unavailable(err)
	}
	return nil
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
	messages, err := k.s.tell(r, k.v, people.ToldDeviceLocked, gone)
	if err != nil {
		return k.s.unavailable(err)
	}
	switch err := k.s.Store.RevokeDevice(ctx, owner, id, e, messages); {
	case errors.Is(err, account.ErrNotFound): // by another try, a moment ago
	case err != nil:
		return k.s.unavailable(err)
	default:
		k.s.sent(messages)
	}
	if err := k.s.devices().Forget(w, r, owner); err != nil {
		return err
	}
	c := k.c
	c.Done = "done.device-destroyed"
	return k.s.goTo(w, r, "/challenge", c)
}
