package policy

import (
	"errors"
	"slices"
)

// organisationCondition is `organisation NAME…`: the person's is one of them.
type organisationCondition struct{ names []string }

func compileOrganisation(c ConditionConfig) (Condition, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("expected `organisation NAME…`")
	}
	return organisationCondition{slices.Clone(c.Args)}, nil
}

func (o organisationCondition) Holds(r *Request) (bool, error) {
	if r.Organisation == "" {
		return false, errNobody
	}
	return slices.Contains(o.names, r.Organisation), nil
}

func (o organisationCondition) Reason() string { return ReasonOrganisation }
