package challenge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is the step `device`: the choice between a public and a private
// device. A level that names the step in its `enrol` asks for the choice once
// in each session whose browser has not proved to be a private device.

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

// deviceChoices is the ceremony of that step.
type deviceChoices struct{ *Site }

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
func (s deviceChoices) asksDevice(v *session.Entry, c ceremony.Continuation) bool {
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
func (s deviceChoices) deviceNext(r *http.Request, v *session.Entry, c ceremony.Continuation, held holdings) (string, error) {
	if !s.asksDevice(v, c) || !s.satisfied(v, c) && !(s.begun(v, c) && len(prospects(s).offer(v, c, held).factors) > 0) {
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
func (s deviceChoices) begun(v *session.Entry, c ceremony.Continuation) bool {
	return slices.ContainsFunc(v.Session.Proofs, func(p policy.Proof) bool {
		return p.Factor != policy.Password && s.Policy.CountsFor(p, v.Session.Proofs, s.Now())&c.Needs != 0
	})
}

// chosen reads v's choice; the zero one where there is none yet.
func (s deviceChoices) chosen(ctx context.Context, v *session.Entry) (choosing, error) {
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
func (s deviceChoices) openChoice(ctx context.Context, v *session.Entry) (choosing, error) {
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

func (s deviceChoices) saveChoice(ctx context.Context, chosen choosing) error {
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

// chooseDevice is the page of the choice.
func (s deviceChoices) chooseDevice(w http.ResponseWriter, r *http.Request) error {
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
		return s.showDevice(w, r, at, chosen, "")
	}
	switch at.fields["device"] {
	case device.Public:
		return s.choosePublic(w, r, v, c)
	case device.Private:
		if at.fields["able"] == "" {
			return s.showDevice(w, r, at, chosen, "error.device.script")
		}
		return s.choosePrivate(w, r, v, c, chosen)
	default:
		return s.showDevice(w, r, at, chosen, "error.device.choose")
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

func (s deviceChoices) showDevice(w http.ResponseWriter, r *http.Request, at *visit, chosen choosing, wrong string) error {
	sealed, err := at.continuation.Seal(s.Sealer, s.Place.Origin)
	if err != nil {
		return err
	}
	key, _ := s.resident().Offered(chosen.Making)
	options, err := json.Marshal(map[string]string{"key": key})
	if err != nil {
		return err
	}
	view := &deviceView{View: s.view(w, r, at.visitor), Continuation: sealed, Options: string(options), Days: int(s.deviceLife().Hours() / 24)}
	status := http.StatusOK
	if wrong != "" {
		status, view.Errors = http.StatusBadRequest, []web.FieldError{{Field: "device", Text: wrong}}
	}
	return s.Pages.Render(w, r, s.Web, status, "device", view)
}

func (s deviceChoices) deviceLife() time.Duration {
	if s.DeviceLife > 0 {
		return s.DeviceLife
	}
	return device.DefaultLife
}

// choosePublic makes this a session on a browser that others use as well, and
// leaves nothing in it but the session.
func (s deviceChoices) choosePublic(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation) error {
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
	acquaintances(s).forget(w, r, v.Owner.Account.ID)
	return s.dispatch(w, r, risen, c)
}

// choosePrivate goes on with the token that was made on the way, or to the page
// that makes one.
func (s deviceChoices) choosePrivate(w http.ResponseWriter, r *http.Request, v *session.Entry, c ceremony.Continuation, chosen choosing) error {
	if _, ready := s.resident().Offered(chosen.Making); ready {
		return s.settleDevice(w, r, v, c, chosen)
	}
	chosen.Private = true
	if err := s.saveChoice(r.Context(), chosen); err != nil {
		return err
	}
	return s.dispatch(w, r, v, c)
}
