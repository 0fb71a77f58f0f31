package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// keyView is the view of key.html.
type keyView struct {
	view
	ID       account.ID
	Username string
	Options  []byte
}

// OptionsText is Options as the page writes them.
func (v *keyView) OptionsText() string { return string(v.Options) }

// key registers a security key that is in the visitor's own machine for
// somebody else. Nothing is kept before the key has answered, and then all of
// it at once.
func (q *visit) key(id string) error {
	if q.Key == nil {
		return &web.Fail{Status: http.StatusNotFound}
	}
	who := people.Who{ID: account.ID(id)}
	record, err := q.People.Show(q.ctx(), q.actor, who)
	if err != nil {
		return missing(err)
	}
	if err := q.People.May(q.ctx(), q.actor, people.ActManage, record.Account); err != nil {
		return missing(err)
	}
	o := q.operation("key", id)
	if on, err := q.Door.Authorised(q.w, q.r, q.v, o); err != nil || !on {
		return err
	}
	k, err := q.handing(record)
	if err != nil {
		return err
	}
	if !q.posted() {
		return k.show(http.StatusOK, nil)
	}
	answer := factors.Answer{Fields: map[string]string{"credential": q.fields.Get("credential"), "label": q.fields.Get("label")}}
	credential, err := q.Key.ConfirmEnrolment(q.ctx(), k.scope, k.held, k.t.State, answer)
	if text := keyError(err); text != "" {
		return k.show(http.StatusBadRequest, []web.FieldError{{Text: text}})
	}
	if err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	if on, err := q.Door.Spend(q.w, q.r, q.v, o); err != nil || !on {
		return err
	}
	credential.Factor = string(policy.WebAuthn)
	_, err = q.People.RegisterKey(q.ctx(), q.actor, who, people.Handover{Transaction: k.t.ID, Credential: credential}, q.fields.Get("reason"))
	switch errs := q.said(err); {
	case errors.Is(err, ceremony.ErrTransactionGone):
		return q.to("/person/" + id + "/key")
	case errs != nil:
		return k.show(http.StatusConflict, errs)
	case err != nil:
		return missing(err)
	}
	return q.to("/person/" + id + "?done=key")
}

// keyError is the text for an answer that is not a key to be kept.
func keyError(err error) string {
	switch {
	case errors.Is(err, factors.ErrTaken):
		return "error.key.taken"
	case errors.Is(err, factors.ErrExpired):
		return "error.key.expired"
	case errors.Is(err, factors.ErrModel):
		return "error.key.model"
	case errors.Is(err, factors.ErrWrongAnswer), errors.Is(err, factors.ErrReplayed), errors.Is(err, factors.ErrUnverified):
		return "error.key.wrong"
	}
	return ""
}

// handing is a key that is being registered.
type handing struct {
	q     *visit
	owner account.Account
	scope factors.Scope
	held  []account.Credential
	t     ceremony.Transaction
}

// handing finds the ceremony that this session has begun for somebody, or
// begins it. Its transaction is a step of the visitor's own session and about
// the other's account, which is what RegisterKey goes by.
func (q *visit) handing(record people.Record) (*handing, error) {
	now := q.Now().UTC()
	k := &handing{q: q, owner: record.Account}
	for _, c := range record.Credentials {
		if c.Factor == string(policy.WebAuthn) {
			k.held = append(k.held, c)
		}
	}
	var err error
	k.t, err = q.Store.OpenTransaction(q.ctx(), ceremony.Transaction{
		ID: ceremony.NewID(), Session: q.v.Session.ID, Key: "admin key " + string(k.owner.ID), Actor: q.v.Owner.Account.ID, Subject: k.owner.ID,
		Site: q.Place.Origin, Purpose: "hand-over", Factor: policy.WebAuthn, CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		return nil, &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	k.scope = factors.Scope{
		Account: k.owner, Session: string(q.v.Session.ID), Site: q.Place.Origin, SiteName: q.Web.Name, RelyingParty: q.RelyingParty,
		RelyingPartyName: q.RelyingPartyName, Purpose: "hand-over", Transaction: k.t.ID, Language: web.Language(q.r, q.Web), Address: q.Address(q.r), Now: now,
	}
	return k, nil
}

func (k *handing) show(status int, errs []web.FieldError) error {
	q := k.q
	prompt, state, err := q.Key.BeginEnrolment(q.ctx(), k.scope, k.held, k.t.State, factors.Answer{})
	if err != nil {
		return fmt.Errorf("begin a key for somebody: %w", err)
	}
	if string(state) != string(k.t.State) {
		k.t.State, k.t.ExpiresAt = state, q.Now().UTC().Add(ceremony.TransactionTTL)
		if err := q.Store.SaveTransaction(q.ctx(), k.t, q.Now().UTC()); err != nil {
			return &web.Fail{Status: http.StatusConflict, Err: err}
		}
	}
	v := &keyView{view: q.view(), ID: k.owner.ID, Username: k.owner.Username, Options: json.RawMessage(prompt.Options)}
	v.Errors, v.Values = errs, map[string]string{"label": q.fields.Get("label"), "reason": q.fields.Get("reason")}
	v.Back = q.Web.Path("/admin/person/" + string(k.owner.ID))
	return q.render(status, "key", v)
}
