package author

import (
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// suffices lists proofs that pass now and did not.
func (d *differ) suffices(was, is policy.Decision) []string {
	var factors []policy.Factor
	switch {
	case is.Outcome == policy.Deny:
		return nil
	case is.Public:
		return []string{"nothing"}
	case was.Outcome == policy.Deny:
		factors = []policy.Factor{policy.Password}
		if ways := d.is.policy.Ways(is.Needed, nil, d.now); len(ways) > 0 {
			factors = append(factors, ways[0]...)
		}
	default:
		factors = d.is.policy.Sufficient(is.Needed, d.was.policy, was.Needed)
	}
	var words []string
	for _, f := range factors {
		words = append(words, string(f))
	}
	return words
}

// request writes facts as an assertion has them, as far as a case differs
// from the ordinary.
func (f Facts) request(v verdict) string {
	words := []string{f.Method, f.Target}
	plain := ordinary(f.Now).facts
	add := func(flag, value, usual string) {
		if value != usual && value != "" {
			if strings.ContainsAny(value, " \t") {
				value = `"` + value + `"`
			}
			words = append(words, "--"+flag, value)
		}
	}
	for _, g := range f.Groups {
		add("group", g, "")
	}
	add("organisation", f.Organisation, plain.Organisation)
	add("user", f.Username, "")
	add("client-ip", f.ClientIP, plain.ClientIP)
	add("country", f.Country, plain.Country)
	add("device", string(f.Device), string(plain.Device))
	add("risk", f.Risk.String(), plain.Risk.String())
	for _, field := range f.Form {
		add("form", field.Name+"="+field.Value, "")
	}
	if v.case_.claimed != "" {
		add("header", "X-HTTP-Method-Override: "+v.case_.claimed, "")
	}
	if slices.ContainsFunc(v.when, func(w string) bool { return strings.HasPrefix(w, "at ") }) {
		add("at", f.Now.UTC().Format(time.RFC3339), "")
	}
	return strings.Join(words, " ")
}
