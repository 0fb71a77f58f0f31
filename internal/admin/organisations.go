package admin

import (
	"net/http"
	"net/url"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// organisationsView is the view of organisations.html.
type organisationsView struct {
	view
	All []listed
	// Manage offers to make and change them.
	Manage       bool
	Requirements []web.Option
	Enrolments   []web.Option
}

// listed is an organisation with the address of its page.
type listed struct {
	account.Organisation
	Path string
}

// organisationPath is the page of an organisation, whatever it is called.
func organisationPath(name string, more ...string) string {
	query := url.Values{"name": {name}}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return "/organisation?" + query.Encode()
}

// organisationView is the view of organisation.html.
type organisationView struct {
	view
	Organisation   listed
	Manage         bool
	Requirements   []web.Option
	Enrolments     []web.Option
	Administrators []found
}

// Deletable tells whether it may go at all.
func (v *organisationView) Deletable() bool {
	return v.Manage && v.Organisation.Name != account.DefaultOrganisation
}

// rules are the choices of both rules of an organisation.
func (q *visit) rules() (requirements, enrolments []web.Option) {
	for _, level := range []string{"", "signed_in", "mfa", "phishing_resistant"} {
		requirements = append(requirements, web.Option{Value: level, Text: q.text("require." + orNone(level))})
	}
	for _, rule := range []string{"", "self", "contact", "invited"} {
		enrolments = append(enrolments, web.Option{Value: rule, Text: q.text("enrolment." + orNone(rule))})
	}
	return requirements, enrolments
}

func orNone(word string) string {
	if word == "" {
		return "none"
	}
	return word
}

// rulesOf are those of a form.
func (q *visit) rulesOf() people.OrganisationRules {
	require, enrolment := q.fields.Get("require"), q.fields.Get("enrolment")
	return people.OrganisationRules{Require: &require, Enrolment: &enrolment}
}

// organisations lists them, and makes new ones.
func (q *visit) organisations(_ string) error {
	show := func(status int, errs []web.FieldError) error {
		v := &organisationsView{view: q.view(), Manage: q.permitted(people.ActOrganise)}
		v.Requirements, v.Enrolments = q.rules()
		v.Errors, v.Values = errs, map[string]string{"name": q.fields.Get("name"), "require": q.fields.Get("require"), "enrolment": q.fields.Get("enrolment")}
		all, err := q.People.Organisations(q.ctx(), q.actor)
		if err != nil {
			return forbidden(err)
		}
		for _, o := range all {
			v.All = append(v.All, listed{o, "/admin" + organisationPath(o.Name)})
		}
		return q.render(status, "organisations", v)
	}
	if !q.posted() {
		return show(http.StatusOK, nil)
	}
	o, err := q.People.AddOrganisation(q.ctx(), q.actor, q.fields.Get("name"), q.rulesOf(), q.fields.Get("reason"))
	switch errs := q.said(err); {
	case err != nil && forbidden(err) != err:
		return forbidden(err)
	case errs != nil:
		errs[0].Field = "name"
		return show(http.StatusBadRequest, errs)
	case err != nil:
		return err
	}
	return q.to(organisationPath(o.Name, "done", "organisation"))
}

// organisation shows one with its administrators, and changes its rules.
func (q *visit) organisation(_ string) error {
	name := q.query("name")
	o, err := q.People.Organisation(q.ctx(), q.actor, name)
	if err != nil {
		return missing(err)
	}
	show := func(status int, errs []web.FieldError) error {
		v := &organisationView{view: q.view(), Organisation: listed{o, "/admin" + organisationPath(o.Name)}, Manage: q.permitted(people.ActOrganise)}
		v.Title, v.Errors, v.Back = o.Name, errs, q.Web.Path("/admin/organisations")
		v.Requirements, v.Enrolments = q.rules()
		var all []account.Account
		for _, role := range []account.Role{account.RoleOwner, account.RoleAdmin, account.RoleHelpdesk, account.RoleAuditor} {
			list, err := q.People.List(q.ctx(), q.actor, account.Filter{Organisation: o.Name, Role: role, Limit: pageSize})
			if err != nil {
				return forbidden(err)
			}
			all = append(all, list...)
		}
		var err error
		if v.Administrators, err = q.rows(all); err != nil {
			return err
		}
		return q.render(status, "organisation", v)
	}
	if !q.posted() {
		return show(http.StatusOK, nil)
	}
	to := organisationPath(o.Name, "done", "organisation")
	if q.fields.Get("action") == "delete" {
		err, to = q.People.DeleteOrganisation(q.ctx(), q.actor, o.Name, q.fields.Get("reason")), "/organisations?done=organisation"
	} else {
		_, err = q.People.EditOrganisation(q.ctx(), q.actor, o.Name, q.rulesOf(), q.fields.Get("reason"))
	}
	switch errs := q.said(err); {
	case err != nil && missing(err) != err:
		return missing(err)
	case errs != nil:
		return show(http.StatusConflict, errs)
	case err != nil:
		return err
	}
	return q.to(to)
}
