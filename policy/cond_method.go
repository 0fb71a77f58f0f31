package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// methodCondition is `method NAME…`. A request that claims other methods than
// its own raises if any of them does; HEAD is GET.
type methodCondition struct{ names []string }

var errUnreadableMethod = errors.New("policy: the method that is claimed cannot be read")

func compileMethod(c ConditionConfig) (Condition, error) {
	words := c.Args
	if len(words) == 0 && len(c.Raw) > 0 {
		if err := json.Unmarshal(c.Raw, &words); err != nil {
			return nil, errors.New("expected a list of methods")
		}
	}
	if len(words) == 0 {
		return nil, errors.New("expected `method NAME…`")
	}
	var names []string
	for _, w := range words {
		names = append(names, asked(strings.ToUpper(w)))
	}
	return methodCondition{names}, nil
}

func (m methodCondition) Holds(r *Request) (bool, error) { return m.some(r, true) }

// Fails is what `not` asks: one of the methods is not named.
func (m methodCondition) Fails(r *Request) (bool, error) { return m.some(r, false) }

func (m methodCondition) some(r *Request, named bool) (bool, error) {
	if slices.Contains(m.names, asked(r.Method)) == named {
		return true, nil
	}
	methods, any := r.methods()
	for _, method := range methods {
		if slices.Contains(m.names, method) == named {
			return true, nil
		}
	}
	if any {
		return false, errUnreadableMethod
	}
	return false, nil
}

func (m methodCondition) Reason() string { return ReasonMethod }
