package legacytest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
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

// RollKeys has the issuer sign with a key that it has not had before, and publish
// no other.
func (i *Issuer) RollKeys(tb testing.TB) {
	tb.Helper()
	roll(tb, i.URL, nil)
}

// roll tells a provider of the tests to take other keys.
func roll(tb testing.TB, provider string, keys []byte) {
	tb.Helper()
	answer, err := http.Post(provider+"/roll", "application/json", bytes.NewReader(keys))
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		tb.Fatalf("legacytest: other keys: the provider answered %d", answer.StatusCode)
	}
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
