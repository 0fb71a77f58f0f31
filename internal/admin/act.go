package admin

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// act is one thing that is done to an account by a page of its own.
type act struct {
	action people.Action
	// fresh wants a proof made for it alone: it resets, or hands something out.
	fresh bool
	// warning marks what cannot be taken back.
	warning bool
	// letsIn marks what lets somebody in: the helpdesk checks the caller first,
	// and a second person may have to approve.
	letsIn bool
	// of is set where it is done to one credential of that factor, which the
	// address names.
	of policy.Factor
	// do does it. What it returns beside the error is shown once.
	do func(q *visit, who people.Who, reason string) (*shownView, error)
}

// acts are all of them, by the last word of their path.
var acts = map[string]act{
	"suspend": {action: people.ActManage, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.Suspend(q.ctx(), q.actor, who, reason)
		return err
	})},
	"resume": {action: people.ActManage, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.Resume(q.ctx(), q.actor, who, reason)
		return err
	})},
	"delete": {action: people.ActManage, fresh: true, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.DeleteAccount(q.ctx(), q.actor, who, reason)
		return err
	})},
	"factors-on": {action: people.ActManage, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.SwitchTwoFactor(q.ctx(), q.actor, who, true, reason)
		return err
	})},
	"factors-off": {action: people.ActManage, fresh: true, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.SwitchTwoFactor(q.ctx(), q.actor, who, false, reason)
		return err
	})},
	"reset-factors": {action: people.ActResetFactors, fresh: true, warning: true, letsIn: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, _, err := q.People.ResetFactors(q.ctx(), q.actor, who, reason)
		return err
	})},
	"invite": {action: people.ActManage, fresh: true, do: func(q *visit, who people.Who, reason string) (*shownView, error) {
		made, err := q.People.Invite(q.ctx(), q.actor, who, reason)
		return linkOf(made), err
	}},
	"password-reset": {action: people.ActManage, fresh: true, do: func(q *visit, who people.Who, reason string) (*shownView, error) {
		made, err := q.People.SendReset(q.ctx(), q.actor, who, reason)
		return linkOf(made), err
	}},
	"revoke-device": {action: people.ActResetFactors, of: policy.DevicePIN, fresh: true, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.RevokeDevice(q.ctx(), q.actor, who, q.credential(), reason)
		return err
	})},
	"revoke-phone": {action: people.ActResetFactors, of: policy.Approval, fresh: true, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.RevokePhone(q.ctx(), q.actor, who, q.credential(), reason)
		return err
	})},
	"revoke-token": {action: people.ActManage, of: policy.Token, fresh: true, warning: true, do: plainly(func(q *visit, who people.Who, reason string) error {
		_, err := q.People.RevokeToken(q.ctx(), q.actor, who, q.credential(), reason)
		return err
	})},
	"temporary-code": {action: people.ActTemporaryCode, fresh: true, letsIn: true, do: func(q *visit, who people.Who, reason string) (*shownView, error) {
		life, err := time.ParseDuration(q.fields.Get("lifetime"))
		if err != nil {
			life = people.DefaultTemporaryLife
		}
		made, err := q.People.IssueTemporaryCode(q.ctx(), q.actor, who, life, reason)
		if err != nil {
			return nil, err
		}
		return &shownView{Code: string(made.Code.Reveal()), ExpiresAt: made.ExpiresAt}, nil
	}},
}

// plainly is an act that shows nothing.
func plainly(do func(*visit, people.Who, string) error) func(*visit, people.Who, string) (*shownView, error) {
	return func(q *visit, who people.Who, reason string) (*shownView, error) { return nil, do(q, who, reason) }
}

func linkOf(made people.Invitation) *shownView {
	if made.Sent || len(made.Link) == 0 {
		return nil
	}
	return &shownView{URL: string(made.Link.Reveal()), ExpiresAt: made.ExpiresAt}
}

// actView is the view of act.html.
type actView struct {
	view
	Act      string
	ID       account.ID
	Username string
	Name     string
	// Label is what the credential is called that it is done to, Query what
	// names it in the page's address.
	Label, Query string
	Warning      bool
	// Second says that it waits for a second administrator.
	Second bool
}

// Temporary tells whether the page asks how long a code lives.
func (v *actView) Temporary() bool { return v.Act == "temporary-code" }

// shownView is the view of shown.html: what is shown once.
type shownView struct {
	view
	Act, Username string
	ID            account.ID
	// One of these is shown.
	Code, URL, Token string
	ExpiresAt        time.Time
}

// credential is the one that the address names.
func (q *visit) credential() account.CredentialID { return account.CredentialID(q.query("credential")) }

// operation names an act on an account, or on the credential of it that the
// address names, for its proof.
func (q *visit) operation(name, id string) ceremony.Operation {
	once, page := "admin "+name+" "+id, "/admin/person/"+id+"/"+name
	if c := q.credential(); acts[name].of != "" {
		once, page = once+" "+string(c), page+credentialQuery(c)
	}
	return ceremony.Operation{Once: once, Text: "operation.account", Page: q.Web.Path(page)}
}

func credentialQuery(id account.CredentialID) string {
	return "?credential=" + url.QueryEscape(string(id))
}

// chosen is what the credential is called that the address names, and the
// query that names it; nothing for acts that are about none.
func (q *visit) chosen(r people.Record, of policy.Factor) (label, query string, err error) {
	if of == "" {
		return "", "", nil
	}
	for _, c := range r.Credentials {
		if c.ID == q.credential() && c.Factor == string(of) {
			return c.Called(web.Language(q.r, q.Web)), credentialQuery(c.ID), nil
		}
	}
	return "", "", &web.Fail{Status: http.StatusNotFound, Title: "missing.title", Advice: "missing.advice"}
}

// act shows what is about to be done, and does it when the form is posted.
func (q *visit) act(name string, a act, id string) error {
	who := people.Who{ID: account.ID(id)}
	record, err := q.People.Show(q.ctx(), q.actor, who)
	if err != nil {
		return missing(err)
	}
	subject := record.Account
	if err := q.People.May(q.ctx(), q.actor, a.action, subject); err != nil {
		return missing(err)
	}
	label, query, err := q.chosen(record, a.of)
	if err != nil {
		return err
	}
	if a.letsIn {
		if _, checked, err := q.People.CallerChecked(q.ctx(), q.actor, subject.ID); err != nil || !checked {
			return errors.Join(err, q.toCaller(id, err))
		}
	}
	show := func(status int, errs []web.FieldError) error {
		v := &actView{
			view: q.view(), Act: name, ID: subject.ID, Username: subject.Username, Name: subject.Name, Warning: a.warning,
			Label: label, Query: query, Second: q.People.TwoPerson && a.letsIn,
		}
		v.Title, v.Errors, v.Values = "act."+name+".title", errs, map[string]string{"reason": q.fields.Get("reason")}
		v.Back = q.Web.Path("/admin/person/" + id)
		return q.render(status, "act", v)
	}
	if !q.posted() {
		if a.fresh {
			if on, err := q.Door.Authorised(q.w, q.r, q.v, q.operation(name, id)); err != nil || !on {
				return err
			}
		}
		return show(http.StatusOK, nil)
	}
	if a.fresh {
		if on, err := q.Door.Spend(q.w, q.r, q.v, q.operation(name, id)); err != nil || !on {
			return err
		}
	}
	shown, err := a.do(q, who, q.fields.Get("reason"))
	return q.acted(name, subject, shown, err, show)
}

// acted answers a form whose act was tried.
func (q *visit) acted(name string, subject account.Account, shown *shownView, err error, show func(int, []web.FieldError) error) error {
	id := string(subject.ID)
	switch errs := q.said(err); {
	case errors.Is(err, people.ErrWaiting):
		return q.to("/approvals?done=waiting")
	case errors.Is(err, people.ErrUnchecked):
		return q.toCaller(id, nil)
	case errors.Is(err, account.ErrNotFound):
		return missing(err)
	case errs != nil:
		return show(http.StatusConflict, errs)
	case err != nil:
		return err
	case shown != nil:
		shown.view, shown.Act, shown.Username, shown.ID = q.view(), name, subject.Username, subject.ID
		shown.Title = "shown." + name + ".title"
		return q.render(http.StatusOK, "shown", shown)
	case name == "delete":
		return q.to("/?done=delete")
	}
	return q.to("/person/" + id + "?done=" + name)
}

// toCaller sends a helpdesk to the check of who is calling.
func (q *visit) toCaller(id string, err error) error {
	if err != nil {
		return nil
	}
	return q.to("/person/" + id + "/caller")
}

// invited answers the form of an invitation: with its link where nobody else
// brings it.
func (q *visit) invited(made people.Invitation, name, done string) error {
	if shown := linkOf(made); shown != nil {
		shown.view, shown.Act, shown.Username, shown.ID = q.view(), name, made.Account.Username, made.Account.ID
		shown.Title = "shown." + name + ".title"
		return q.render(http.StatusOK, "shown", shown)
	}
	return q.to("/person/" + string(made.Account.ID) + "?done=" + done)
}
