package admin

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
)

// callerView is the view of caller.html.
type callerView struct {
	view
	ID             account.ID
	Username, Name string
	// Held are what a code can be sent to.
	Held []reachable
	// Ticket is that of a check that still holds.
	Ticket string
	Recent []happened
}

type reachable struct {
	ID     account.CredentialID
	Factor string
	Label  string
}

// callerFactor is what tries of callers' codes are counted under.
const callerFactor = "caller-check"

// caller checks that it is the person who is calling: they read out the code
// that their own page shows, or one that is sent to something they hold.
func (q *visit) caller(id string) error {
	who := people.Who{ID: account.ID(id)}
	record, err := q.People.Show(q.ctx(), q.actor, who)
	if err != nil {
		return missing(err)
	}
	if err := q.People.May(q.ctx(), q.actor, people.ActResetFactors, record.Account); err != nil {
		return missing(err)
	}
	show := func(status int, errs []web.FieldError) error { return q.callerPage(record, status, errs) }
	if !q.posted() {
		return show(http.StatusOK, nil)
	}
	if q.fields.Get("action") == "send" {
		err := q.People.SendCallerCode(q.ctx(), q.actor, who, account.CredentialID(q.fields.Get("credential")), q.fields.Get("ticket"))
		switch errs := q.said(err); {
		case errs != nil:
			return show(http.StatusConflict, errs)
		case errors.Is(err, throttle.ErrSpent):
			return show(http.StatusTooManyRequests, []web.FieldError{{Text: "error.caller.budget"}})
		case err != nil:
			return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
		}
		return q.to("/person/" + id + "/caller?" + url.Values{"done": {"caller-sent"}, "ticket": {q.fields.Get("ticket")}}.Encode())
	}
	receipt, err := q.Ledger.Spend(q.ctx(), q.Plan.Charges(throttle.Try{Account: id, Factor: callerFactor, Address: q.Address(q.r)})...)
	if err != nil {
		return q.tooMany(err, show)
	}
	err = q.People.CheckCaller(q.ctx(), q.actor, who, q.fields.Get("code"), q.fields.Get("ticket"))
	if errs := q.said(err); errs != nil {
		field := "code"
		if errors.Is(err, people.ErrInvalid) {
			field = "ticket"
		}
		return show(http.StatusBadRequest, []web.FieldError{{Field: field, Text: "error.caller." + field}})
	}
	if err = errors.Join(err, q.Ledger.Success(q.ctx(), receipt)); err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	return q.to("/person/" + id + "?done=caller")
}

// tooMany answers a code that may not be tried now.
func (q *visit) tooMany(err error, show func(int, []web.FieldError) error) error {
	spent := (*throttle.Spent)(nil)
	if !errors.As(err, &spent) {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	web.SetRetryAfter(q.w.Header(), spent.RetryAfter)
	return show(http.StatusTooManyRequests, []web.FieldError{{Text: "error.caller.tries", Args: []any{"minutes", int(spent.RetryAfter/time.Minute) + 1}}})
}

func (q *visit) callerPage(record people.Record, status int, errs []web.FieldError) error {
	a := record.Account
	v := &callerView{view: q.view(), ID: a.ID, Username: a.Username, Name: a.Name}
	v.Errors, v.Values = errs, map[string]string{"ticket": cmp.Or(q.fields.Get("ticket"), q.query("ticket"))}
	v.Back = q.Web.Path("/admin/person/" + string(a.ID))
	var err error
	if v.Ticket, _, err = q.People.CallerChecked(q.ctx(), q.actor, a.ID); err != nil {
		return err
	}
	if v.Recent, err = q.recent(a.ID); err != nil {
		return err
	}
	for _, c := range record.Credentials {
		if c.Address != "" {
			v.Held = append(v.Held, reachable{c.ID, c.Factor, c.Called(web.Language(q.r, q.Web))})
		}
	}
	return q.render(status, "caller", v)
}
