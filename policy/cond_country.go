package policy

import (
	"errors"
	"slices"
	"strings"
)

// countryCondition is `country XX…`: the client's address is in one of them.
type countryCondition struct{ codes []string }

var errNoCountry = errors.New("policy: the country is not known")

func compileCountry(c ConditionConfig) (Condition, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("expected `country XX…`, codes of ISO 3166 such as `GB`")
	}
	var codes []string
	for _, word := range c.Args {
		if len(word) != 2 || strings.Trim(strings.ToUpper(word), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return nil, errors.New("`" + word + "`: expected codes of ISO 3166, two letters such as `GB`")
		}
		codes = append(codes, strings.ToUpper(word))
	}
	return countryCondition{codes}, nil
}

func (c countryCondition) Holds(r *Request) (bool, error) {
	if r.Country == "" {
		return false, errNoCountry
	}
	return slices.Contains(c.codes, r.Country), nil
}

func (c countryCondition) Reason() string { return ReasonCountry }
