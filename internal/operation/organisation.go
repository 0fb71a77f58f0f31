package operation

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// OrganisationInput is what the organisation commands ask with.
type OrganisationInput struct {
	Name string `json:"name"`
	people.OrganisationRules
	Reason string `json:"reason,omitempty"`
}

// OrganisationView is an organisation as commands print it.
type OrganisationView struct {
	Name      string    `json:"name"`
	Require   string    `json:"require"`
	Enrolment string    `json:"enrolment"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	Deleted   bool      `json:"deleted,omitempty"`
}

func viewOrganisation(o account.Organisation) OrganisationView {
	return OrganisationView{Name: o.Name, Require: o.Require, Enrolment: o.Enrolment, CreatedAt: o.CreatedAt}
}

// The verbs of organisations.
var (
	OrganisationAdd = define("organisation/add", func(ctx context.Context, p Place, in OrganisationInput) (OrganisationView, error) {
		o, err := p.People.AddOrganisation(ctx, p.Actor, in.Name, in.OrganisationRules, in.Reason)
		return viewOrganisation(o), err
	}).creating()
	OrganisationEdit = define("organisation/edit", func(ctx context.Context, p Place, in OrganisationInput) (OrganisationView, error) {
		o, err := p.People.EditOrganisation(ctx, p.Actor, in.Name, in.OrganisationRules, in.Reason)
		return viewOrganisation(o), err
	})
	OrganisationDelete = define("organisation/delete", func(ctx context.Context, p Place, in OrganisationInput) (OrganisationView, error) {
		err := p.People.DeleteOrganisation(ctx, p.Actor, in.Name, in.Reason)
		return OrganisationView{Name: in.Name, Deleted: true}, err
	})
	OrganisationList = define("organisation/list", func(ctx context.Context, p Place, _ struct{}) ([]OrganisationView, error) {
		all, err := p.People.Organisations(ctx, p.Actor)
		views := make([]OrganisationView, 0, len(all))
		for _, o := range all {
			views = append(views, viewOrganisation(o))
		}
		return views, err
	})
)
