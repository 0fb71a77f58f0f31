package legacytest

import (
	_ "embed" // the provider of the test
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed testdata/samlp/provider.js
var samlScript string

// SAMLProvider is a running SAML identity provider with one service provider.
// Whoever types a name at its page is signed in there by it; all are in the
// group clerks.
type SAMLProvider struct {
	URL      string
	Metadata string // a file
}

// StartSAMLProvider runs the provider of the npm package samlp, for a service
// provider at this page. Certificates and key are PEM.
func StartSAMLProvider(tb testing.TB, page string, cert, key, partyCert []byte) *SAMLProvider {
	tb.Helper()
	program, dir := npmProgram(tb, "samlp"), newDir(tb)
	put(tb, dir, map[string]string{"provider.js": samlScript})
	if err := os.Symlink(filepath.Join(program, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	p := &SAMLProvider{Metadata: filepath.Join(tb.TempDir(), "idp.xml")}
	serve(tb, func(addr string) command {
		p.URL = "http://localhost:" + portOf(addr)
		settings, err := json.Marshal(map[string]string{
			"url": p.URL, "issuer": "urn:county:idp", "callback": page, "cert": string(cert), "key": string(key), "partyCert": string(partyCert),
		})
		if err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
		return command{
			name: "samlp", dir: dir, user: webUser, env: []string{"SAML_PROVIDER=" + string(settings), "NODE_ENV=test"},
			argv: []string{"/usr/bin/node", dir + "/provider.js"},
		}
	})
	p.publish(tb, cert)
	return p
}

// publish writes metadata with the key of a certificate.
func (p *SAMLProvider) publish(tb testing.TB, cert []byte) {
	tb.Helper()
	body := strings.NewReplacer("-----BEGIN CERTIFICATE-----", "", "-----END CERTIFICATE-----", "", "\n", "").Replace(string(cert))
	text := fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:county:idp"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[2]s/slo"/>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="%[2]s/sso"/>
</IDPSSODescriptor></EntityDescriptor>`, body, p.URL)
	if err := os.WriteFile(p.Metadata, []byte(text), 0o644); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
}

// RollKeys has the provider sign with another key, and its metadata name that
// one alone.
func (p *SAMLProvider) RollKeys(tb testing.TB, cert, key []byte) {
	tb.Helper()
	keys, err := json.Marshal(map[string]string{"cert": string(cert), "key": string(key)})
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	roll(tb, p.URL, keys)
	p.publish(tb, cert)
}
