package command

import (
	"errors"
	"testing"
)

func TestErrorsOfOursComeWithoutTheModulesAroundThem(t *testing.T) {
	const chain = "loading http app module: provision http: server srv0: setting up route handlers: route 0: loading handler modules: position 0: loading module 'subroute': " +
		"provision http.handlers.subroute: setting up subroutes: route 0: loading handler modules: position 0: loading module 'stepgate': provision http.handlers.stepgate: stepgate: "
	for given, want := range map[string]string{
		chain + "Caddyfile:13: assert: there is no file x":                                                                               "Caddyfile:13: assert: there is no file x",
		chain + "a.txt:1: GET /x: asserted public\na.txt:2: route 3: no":                                                                 "a.txt:1: GET /x: asserted public\na.txt:2: route 3: no",
		chain + "Caddyfile:2: sign_in: position 0: loading module 'ldap': provision stepgate.sign_in.ldap: sign_in ldap: server missing": "Caddyfile:2: sign_in: sign_in ldap: server missing",
		"loading stepgate app module: stepgate: invalid configuration: stepgate: Caddyfile:2: session: idle":                             "Caddyfile:2: session: idle",
		"loading http app module: provision http: server srv0: listen: no":                                                               "loading http app module: provision http: server srv0: listen: no",
	} {
		if got := plainly(errors.New(given)).Error(); got != want {
			t.Errorf("%s\nis told as %s\nwant         %s", given, got, want)
		}
	}
	if plainly(nil) != nil {
		t.Error("no error is one")
	}
}
