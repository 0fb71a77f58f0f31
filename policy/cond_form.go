package policy

import "errors"

// formCondition is `form NAME GLOB`: a field of a form body has such a value.
type formCondition struct {
	name  string
	value textGlob
}

var errUnreadableForm = errors.New("policy: the form cannot be read")

func compileForm(c ConditionConfig) (Condition, error) {
	if len(c.Args) != 2 || c.Args[0] == "" {
		return nil, errors.New("expected `form NAME GLOB`")
	}
	g, err := readTextGlob(c.Args[1], func(text string) (string, error) { return text, nil })
	if err != nil {
		return nil, err
	}
	return &formCondition{name: c.Args[0], value: g}, nil
}

func (f *formCondition) Holds(r *Request) (bool, error) {
	fits, unreadable := r.field(f.name, &f.value)
	if unreadable && !fits {
		return false, errUnreadableForm
	}
	return fits, nil
}

func (f *formCondition) Reason() string { return ReasonFormField }
