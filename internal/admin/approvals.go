package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// approvalsView is the view of approvals.html.
type approvalsView struct {
	view
	// On tells whether anything has to wait here.
	On bool
	// Confirmed is whose wait the proof was made for that there is now; empty
	// for none.
	Confirmed string
	All       []waiting
}

type waiting struct {
	ID       string
	Act      string
	Username string
	Subject  account.ID
	AskedBy  string
	// Ticket is that of the call in which the helpdesk checked who was calling.
	Ticket, Reason string
	AskedAt        time.Time
	ExpiresAt      time.Time
	Own            bool
	ApprovedBy     string
}

// actNames are the acts that can wait.
var actNames = map[people.Action]string{people.ActResetFactors: "reset-factors", people.ActTemporaryCode: "temporary-code"}

// approvals lists what waits for a second administrator, and takes their
// answer.
func (q *visit) approvals(_ string) error {
	if q.posted() {
		return q.answerApproval()
	}
	if !q.permitted(people.ActResetFactors) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice"}
	}
	id := q.query("approve")
	if id != "" {
		if on, err := q.Door.Authorised(q.w, q.r, q.v, q.approving(id)); err != nil || !on {
			return err
		}
	}
	return q.approvalsPage(http.StatusOK, nil)
}

// approving is the operation of an approval: it lets somebody in, so it needs
// a proof of its own.
func (q *visit) approving(id string) ceremony.Operation {
	return ceremony.Operation{Once: "admin approve " + id, Text: "operation.account", Page: q.Web.Path("/admin/approvals?approve=" + id)}
}

func (q *visit) approvalsPage(status int, errs []web.FieldError) error {
	v := &approvalsView{view: q.view(), On: q.People.TwoPerson}
	v.Errors = errs
	all, err := q.People.Approvals(q.ctx(), q.actor)
	if err != nil {
		return forbidden(err)
	}
	for _, a := range all {
		w := waiting{
			ID: a.ID, Act: actNames[a.Act], Username: a.Subject.Username, Subject: a.Subject.ID, Ticket: a.Ticket, Reason: a.Reason, AskedAt: a.AskedAt,
			ExpiresAt: a.ExpiresAt, Own: a.Own,
		}
		if w.AskedBy, err = q.nameOf(a.AskedBy); err != nil {
			return err
		}
		if w.ApprovedBy, err = q.nameOf(a.ApprovedBy); err != nil {
			return err
		}
		if a.ID == q.query("approve") && status == http.StatusOK {
			v.Confirmed = w.Username
		}
		v.All = append(v.All, w)
	}
	return q.render(status, "approvals", v)
}

// nameOf is the username of an account where it still has one.
func (q *visit) nameOf(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	a, err := q.Store.Account(q.ctx(), account.ID(id))
	if errors.Is(err, account.ErrNotFound) {
		return id, nil
	}
	return a.Username, err
}

func (q *visit) answerApproval() error {
	id, done := q.fields.Get("approval"), "declined"
	var err error
	if q.fields.Get("action") == "approve" {
		if on, err := q.Door.Spend(q.w, q.r, q.v, q.approving(id)); err != nil || !on {
			return err
		}
		done = "approved"
		_, err = q.People.Approve(q.ctx(), q.actor, id, q.fields.Get("reason"))
	} else {
		_, err = q.People.Decline(q.ctx(), q.actor, id, q.fields.Get("reason"))
	}
	switch errs := q.said(err); {
	case errors.Is(err, people.ErrNoApproval), errors.Is(err, account.ErrNotFound):
		return q.approvalsPage(http.StatusConflict, []web.FieldError{{Text: "error.approval.gone"}})
	case errs != nil:
		return q.approvalsPage(http.StatusForbidden, errs)
	case err != nil:
		return err
	}
	return q.to("/approvals?done=" + done)
}
