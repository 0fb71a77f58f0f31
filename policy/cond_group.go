package policy

import (
	"errors"
	"slices"
)

// groupCondition is `group NAME…`: the person is in one of them. Names are
// compared to the letter.
type groupCondition struct{ names []string }

var errNobody = errors.New("policy: nobody is signed in")

func compileGroup(c ConditionConfig) (Condition, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("expected `group NAME…`")
	}
	return groupCondition{slices.Clone(c.Args)}, nil
}

func (g groupCondition) Holds(r *Request) (bool, error) {
	for _, name := range r.Groups {
		if slices.Contains(g.names, name) {
			return true, nil
		}
	}
	if !r.SignedIn && len(r.Groups) == 0 {
		return false, errNobody
	}
	return false, nil
}

func (g groupCondition) Reason() string { return ReasonGroup }
