package caddymodule

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// raisingSite asks everything for a sign-in, and below a name of a raise for a
// security key where that raise holds.
func raisingSite(raises map[string]string) string {
	var rules strings.Builder
	for name, condition := range raises {
		rules.WriteString("\t\t\trequire signed_in /" + name + "/* {\n\t\t\t\traise phishing_resistant when " + condition + "\n\t\t\t}\n")
	}
	return "{{site}} {\n\tstepgate {\n\t\torigin {{site}}\n\t\tpolicy {\n" + rules.String() + "\t\t\tdefault signed_in\n\t\t}\n\t}\n\treverse_proxy {{upstream}}\n}\n"
}

func TestConditionsKnowWhoItIs(t *testing.T) {
	raises := map[string]string{
		"name":             "expression `{http.auth.user.id} == \"joe\"`",
		"not-other":        "not expression `{http.auth.user.id} == \"eve\"`",
		"organisation":     "expression `{http.stepgate.organisation} == \"default\"`",
		"device":           "expression `{http.stepgate.device} == \"unknown\"`",
		"groups":           "expression `{http.stepgate.groups}.contains(\"staff\")`",
		"levels":           "expression `{http.stepgate.levels} == \"signed_in\"`",
		"header":           "header X-Claim {http.auth.user.id}",
		"nobody-sets":      "expression `{http.stepgate.shoe_size} == \"9\"`",
		"not-nobody-sets":  "not expression `{http.stepgate.shoe_size} == \"9\"`",
		"no-variable":      "expression `{http.vars.tenant} == \"a\"`",
		"other":            "expression `{http.auth.user.id} == \"eve\"`",
		"not-name":         "not expression `{http.auth.user.id} == \"joe\"`",
		"absent-header":    "expression `{http.request.header.X-None} == \"a\"`",
		"other-header":     "header X-Other {http.auth.user.id}",
		"broken-query":     "expression `{http.request.uri.query.export} == \"1\"`",
		"not-broken-query": "expression `{http.request.uri.query.export} == \"1\"`",
	}
	g := startGateway(t, raisingSite(raises), nil)
	g.addUser("joe", func(n *people.NewAccount) { n.Groups = []string{"staff"} })
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	passes := map[string]bool{"other": true, "not-name": true, "absent-header": true, "other-header": true, "not-broken-query": true}
	for name := range raises {
		target := "/" + name + "/x"
		if name == "broken-query" {
			target += "?export=1&%zz"
		}
		p := b.get(target, fetch, func(r *http.Request) { r.Header.Set("X-Claim", "joe") })
		if got := p.status == 200; got != passes[name] {
			t.Errorf("%s: status %d, want it to pass: %v", name, p.status, passes[name])
		}
	}
}

func TestIdentityPlaceholdersStayHiddenWhereTheyAreNotSent(t *testing.T) {
	site := strings.Replace(raisingSite(map[string]string{"x": "expression `{http.auth.user.id} == \"joe\"`"}),
		"default signed_in", "public /open/* \n\t\t\tdefault signed_in", 1)
	site = strings.Replace(site, "reverse_proxy {{upstream}}", "reverse_proxy {{upstream}} {\n\t\theader_up X-Who {http.auth.user.id}\n\t}", 1)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	b.signIn(b.get("/"), "joe").want(200, "/")
	if _, err := active.Load().people.EditOrganisation(t.Context(), people.Operator(), account.DefaultOrganisation, people.OrganisationRules{Require: new("mfa")}, ""); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.HasPrefix(b.get("/").url.Path, "/.stepgate/") })
	b.get("/x/y").at("/enrol/webauthn")
	g.last()
	b.get("/open/x").want(200, "/open/x")
	if got := g.last().Header.Get("X-Who"); got == "joe" {
		t.Error("a person below their own levels is named on a public path")
	}
}

func TestConditionsOnAnAddressRaiseWhereThereIsNone(t *testing.T) {
	raises := map[string]string{
		"client-ip":     "client_ip 192.0.2.0/24",
		"not-client-ip": "not client_ip 192.0.2.0/24",
		"function":      "expression `client_ip('192.0.2.0/24')`",
		"not-function":  "not expression `client_ip('192.0.2.0/24')`",
		"remote":        "expression `remote_ip('192.0.2.0/24')`",
		"placeholder":   "expression `{http.vars.client_ip} == \"192.0.2.1\"`",
		"not-remote":    "not expression `{http.request.remote.host} == \"192.0.2.1\"`",
	}
	site := strings.Replace(raisingSite(raises), "{{site}} {\n", "{{site}} {\n\tbind unix/{{dir}}/site.sock\n", 1)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	b := g.browser()
	b.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", g.dir+"/site.sock")
	}
	b.signIn(b.get("/"), "joe").want(200, "/")
	for name := range raises {
		if p := b.get("/"+name+"/x", fetch); p.status != 401 {
			t.Errorf("%s: status %d, want 401", name, p.status)
		}
	}
}
