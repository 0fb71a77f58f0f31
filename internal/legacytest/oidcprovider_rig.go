package legacytest

import (
	_ "embed"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

//go:embed testdata/oidcprovider/provider.mjs
var providerScript string

// Issuer is a running OpenID provider with one client. Everybody may sign in
// there by typing a name, which is then their `sub` and preferred_username; they
// are in the group clerks.
type Issuer struct {
	URL          string // the issuer's identifier
	ClientID     string
	ClientSecret string
}

// StartIssuer runs the provider of the npm package oidc-provider, for a client
// whose browsers come back to callback, and to home once they have signed out.
func StartIssuer(tb testing.TB, callback, home string) *Issuer {
	tb.Helper()
	program, dir := npmProgram(tb, "oidc-provider"), newDir(tb)
	put(tb, dir, map[string]string{"provider.mjs": providerScript})
	if err := os.Symlink(filepath.Join(program, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	i := &Issuer{ClientID: "portal", ClientSecret: "a secret of the portal's client, for the test"}
	serve(tb, func(addr string) command {
		i.URL = "http://localhost:" + portOf(addr)
		settings, err := json.Marshal(map[string]string{
			"issuer": i.URL, "client": i.ClientID, "secret": i.ClientSecret, "callback": callback, "home": home,
		})
		if err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
		return command{
			name: "oidc-provider", dir: dir, user: webUser, env: []string{"OIDC_PROVIDER=" + string(settings), "NODE_ENV=test"},
			argv: []string{"/usr/bin/node", dir + "/provider.mjs"},
		}
	})
	return i
}
