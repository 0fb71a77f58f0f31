package admin

import (
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// tokenView is the view of token.html.
type tokenView struct {
	view
	ID       account.ID
	Username string
}

// tokenFields are those of the form of a new token.
var tokenFields = []string{"label", "paths", "methods", "days", "addresses", "reason"}

// newToken makes a token for a program that acts as somebody, such as an
// account that no person signs in to, and shows it once.
func (q *visit) newToken(id string) error {
	who := people.Who{ID: account.ID(id)}
	record, err := q.People.Show(q.ctx(), q.actor, who)
	if err != nil {
		return missing(err)
	}
	subject := record.Account
	if err := q.People.May(q.ctx(), q.actor, people.ActManage, subject); err != nil {
		return missing(err)
	}
	if q.People.Tokens == nil {
		return &web.Fail{Status: http.StatusNotFound}
	}
	show := func(status int, errs []web.FieldError) error {
		v := &tokenView{view: q.view(), ID: subject.ID, Username: subject.Username}
		v.Errors, v.Values, v.Back = errs, map[string]string{}, q.Web.Path("/admin/person/"+id)
		for _, name := range tokenFields {
			if q.fields.Has(name) {
				v.Values[name] = q.fields.Get(name)
			}
		}
		return q.render(status, "token", v)
	}
	o := q.operation("token", id)
	if !q.posted() {
		if on, err := q.Door.Authorised(q.w, q.r, q.v, o); err != nil || !on {
			return err
		}
		return show(http.StatusOK, nil)
	}
	asked := people.NewToken{Label: factors.CleanLabel(q.fields.Get("label"))}
	var wrong string
	if asked.Bounds, wrong = token.Asked(q.fields.Get, q.Now()); asked.Label == "" {
		wrong = "label"
	}
	if wrong != "" {
		return show(http.StatusBadRequest, []web.FieldError{{Field: wrong, Text: "error.token." + wrong}})
	}
	if on, err := q.Door.Spend(q.w, q.r, q.v, o); err != nil || !on {
		return err
	}
	made, err := q.People.AddToken(q.ctx(), q.actor, who, asked, q.fields.Get("reason"))
	if err != nil {
		return q.acted("token", subject, nil, err, show)
	}
	return q.acted("token", subject, &shownView{Token: string(made.Token.Reveal()), ExpiresAt: asked.Bounds.EndsAt}, nil, show)
}
