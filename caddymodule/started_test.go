package caddymodule

import (
	"testing"

	"github.com/stepgate/stepgate/internal/people"
)

// TestTheFirstOwnerIsAddedAsTheSourcesAllow: `user add` refuses a password for
// an account of a source that checks its own.
func TestTheFirstOwnerIsAddedAsTheSourcesAllow(t *testing.T) {
	local, form, ldap := people.Source{Name: "local"}, people.Source{Name: "legacy_form", SubjectIsName: true}, people.Source{Name: "ldap"}
	const withPassword = "add the first owner with: stepgate user add NAME --role owner --password-stdin"
	const byName = "add the first owner, by the name that they sign in with: stepgate user add NAME --role owner"
	for name, c := range map[string]struct {
		sources []people.Source
		want    string
	}{
		"nothing named":         {nil, withPassword},
		"local":                 {[]people.Source{local}, withPassword},
		"a directory and local": {[]people.Source{ldap, local}, withPassword},
		"a watched form":        {[]people.Source{form}, byName},
		"a form, a directory":   {[]people.Source{ldap, form}, byName + " --source legacy_form"},
		"a directory":           {[]people.Source{ldap}, "let the first owner sign in once, then: stepgate user edit NAME --role owner"},
	} {
		if got := firstOwner(c.sources); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
