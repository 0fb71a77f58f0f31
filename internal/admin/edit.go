package admin

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// editView is the view of edit.html, of a new account and of one that is
// changed.
type editView struct {
	view
	New    bool
	ID     account.ID
	Action string
	// Local accounts can get another username.
	Local                bool
	Version              int64
	Roles, Organisations []web.Option
	// Was are the values that the form began with, for a second administrator
	// to be told what the first has changed.
	Was []was
	// Changed are those that are others by now.
	Changed []change
	// Warnings are about what will be done and may surprise; the form then
	// says that they were read.
	Warnings []string
}

type was struct{ Name, Value string }

// change is what somebody else did meanwhile.
type change struct{ Label, From, To string }

// record are the fields of the form in their order.
var record = []string{"username", "title", "first", "middle", "surname", "email", "mobile", "groups", "organisation", "role"}

// valuesOf is what the form says of an account.
func valuesOf(a account.Account) map[string]string {
	p := a.Parts.Of(a.Name)
	return map[string]string{
		"username": a.Username, "title": p.Title, "first": p.First, "middle": p.Middle, "surname": p.Last, "email": a.Email, "mobile": a.Mobile,
		"groups": strings.Join(a.Groups, ", "), "organisation": a.Organisation, "role": string(a.Role),
	}
}

func (q *visit) typed() map[string]string {
	values := map[string]string{}
	for _, name := range record {
		values[name] = strings.TrimSpace(q.fields.Get(name))
	}
	return values
}

func partsOf(values map[string]string) account.NameParts {
	return account.NameParts{Title: values["title"], First: values["first"], Middle: values["middle"], Last: values["surname"]}
}

func groupsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' })
}

// form begins the page.
func (q *visit) form(values map[string]string) (*editView, error) {
	v := &editView{view: q.view()}
	v.Values = values
	for _, r := range account.Roles() {
		v.Roles = append(v.Roles, web.Option{Value: string(r), Text: q.text("role." + string(r))})
	}
	all, err := q.People.Organisations(q.ctx(), q.actor)
	for _, o := range all {
		v.Organisations = append(v.Organisations, web.Option{Value: o.Name, Text: o.Name})
	}
	return v, err
}

// inWords are phrases in the language of the page.
func (q *visit) inWords(all []people.Phrase) []string {
	var words []string
	for _, p := range all {
		words = append(words, p.In(q.language()))
	}
	return words
}

// create makes an account, and invites its owner where they need a password.
func (q *visit) create(_ string) error {
	if !q.permitted(people.ActManage) {
		return &web.Fail{Status: http.StatusForbidden, Title: "forbidden.title", Advice: "forbidden.advice"}
	}
	values := map[string]string{"organisation": q.v.Owner.Account.Organisation, "role": string(account.RoleUser)}
	show := func(status int, errs []web.FieldError, warnings []string) error {
		v, err := q.form(values)
		if err != nil {
			return err
		}
		v.New, v.Local, v.Action, v.Errors, v.Warnings = true, true, "/admin/new", errs, warnings
		return q.render(status, "edit", v)
	}
	if !q.posted() {
		return show(http.StatusOK, nil, nil)
	}
	values = q.typed()
	n := people.NewAccount{
		Username: values["username"], Parts: partsOf(values), Email: values["email"], Mobile: values["mobile"], Groups: groupsOf(values["groups"]),
		Organisation: values["organisation"], Role: account.Role(values["role"]), Reason: q.fields.Get("reason"),
	}
	if q.fields.Get("seen") != "yes" {
		warnings, err := q.People.LookAlikes(q.ctx(), q.actor, account.Account{Source: account.LocalSource, Username: n.Username})
		if err != nil {
			return err
		}
		if _, err := account.ReadNumber(n.Mobile, q.People.Region); err == nil { // what is no number is refused below
			if text := q.People.Unreached(n.Mobile); !text.Empty() {
				warnings = append(warnings, text)
			}
		}
		if len(warnings) > 0 {
			return show(http.StatusOK, nil, q.inWords(warnings))
		}
	}
	added, err := q.People.AddAccount(q.ctx(), q.actor, n)
	if errs := q.said(err); errs != nil {
		return show(http.StatusBadRequest, errs, nil)
	}
	if err != nil {
		return err
	}
	if q.People.Links == nil || added.Account.Source != account.LocalSource {
		return q.to("/person/" + string(added.Account.ID) + "?done=created")
	}
	invited, err := q.People.Invite(q.ctx(), q.actor, people.Who{ID: added.Account.ID}, n.Reason)
	if err != nil {
		return err
	}
	return q.invited(invited, "invite", "created")
}

// edit changes an account's record.
func (q *visit) edit(id string) error {
	who := people.Who{ID: account.ID(id)}
	shown, err := q.People.Show(q.ctx(), q.actor, who)
	if err != nil {
		return missing(err)
	}
	a := shown.Account
	if err := q.People.May(q.ctx(), q.actor, people.ActManage, a); err != nil {
		return missing(err)
	}
	values := valuesOf(a)
	show := func(status int, errs []web.FieldError, changed []change) error {
		v, err := q.form(values)
		if err != nil {
			return err
		}
		v.ID, v.Action, v.Local, v.Version, v.Errors, v.Changed = a.ID, "/admin/person/"+id+"/edit", a.Source == account.LocalSource, a.Version, errs, changed
		for _, name := range record {
			v.Was = append(v.Was, was{"was_" + name, valuesOf(a)[name]})
		}
		v.Back = q.Web.Path("/admin/person/" + id)
		return q.render(status, "edit", v)
	}
	if !q.posted() {
		return show(http.StatusOK, nil, nil)
	}
	values = q.typed()
	c := changes(values, a)
	version, err := strconv.ParseInt(q.fields.Get("version"), 10, 64)
	if err != nil {
		return &web.Fail{Status: http.StatusBadRequest}
	}
	c.Version, c.Reason = &version, q.fields.Get("reason")
	_, err = q.People.EditAccount(q.ctx(), q.actor, who, c)
	switch errs := q.said(err); {
	case errors.Is(err, people.ErrStale):
		return show(http.StatusConflict, []web.FieldError{{Text: "error.stale"}}, q.changedMeanwhile(a))
	case errs != nil:
		return show(http.StatusBadRequest, errs, nil)
	case err != nil:
		return missing(err)
	}
	return q.to("/person/" + id + "?done=saved")
}

// changes are those of a form that differ from the account, but for what a
// source alone can say.
func changes(values map[string]string, a account.Account) people.Changes {
	now := valuesOf(a)
	differs := func(name string) *string {
		if values[name] == now[name] {
			return nil
		}
		value := values[name]
		return &value
	}
	c := people.Changes{Email: differs("email"), Mobile: differs("mobile"), Organisation: differs("organisation"), Role: (*account.Role)(differs("role"))}
	if a.Source == account.LocalSource {
		c.Username = differs("username")
	}
	parts := partsOf(values)
	c.Parts = &parts
	if groups := groupsOf(values["groups"]); !slices.Equal(trimmed(groups), a.Groups) {
		c.Groups = &groups
	}
	return c
}

func trimmed(some []string) []string {
	var all []string
	for _, one := range some {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// changedMeanwhile lists what is another by now than when the form was shown.
func (q *visit) changedMeanwhile(a account.Account) []change {
	var all []change
	now := valuesOf(a)
	for _, name := range record {
		if before := q.fields.Get("was_" + name); before != now[name] {
			all = append(all, change{q.text("field." + name), before, now[name]})
		}
	}
	return all
}
