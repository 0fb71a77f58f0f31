package saml

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/stepgate/stepgate/internal/signin"
)

// Config is an identity provider as it is configured.
type Config struct {
	signin.Provider
	// Metadata is where the provider's metadata is: an https address, read
	// when it is needed and again every hour, or a file.
	Metadata string `json:"metadata"`
	// EntityID picks one provider out of metadata that has several. Default:
	// the only one.
	EntityID string `json:"entity_id,omitempty"`
	// MetadataCertificate is a file with the certificate, in PEM, that must
	// have signed the metadata. Default: its address is believed.
	MetadataCertificate string `json:"metadata_certificate,omitempty"`
	// Certificate and Key are files, in PEM, by which requests and sign-outs
	// are signed, and encrypted assertions opened (an RSA key). Default: none,
	// and nobody is signed out at the provider.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// Attributes name the attributes that are read, by Name or FriendlyName.
	Attributes Attributes `json:"attributes,omitzero"`
	// Contexts are the authentication contexts to ask for. Default: any.
	Contexts []string `json:"contexts,omitempty"`
}

// Attributes are names of attributes in the assertion. Empty ones have a
// default.
type Attributes struct {
	// ID is the stable identifier. Default: the NameID, which must then not be
	// one that changes at each sign-in.
	ID string `json:"id,omitempty"`
	// Username. Default: uid, where that is missing the NameID.
	Username string `json:"username,omitempty"`
	// Name, Email, Mobile and Groups. Defaults: displayName or cn; mail;
	// mobile; groups, memberOf or isMemberOf, and the names that Microsoft
	// gives them.
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Mobile string `json:"mobile,omitempty"`
	Groups string `json:"groups,omitempty"`
}

// maxMetadata bounds what is read of metadata, in bytes: a federation's may be
// long.
const maxMetadata = 64 << 20

// remote tells whether the metadata comes by the network.
func (c *Config) remote() bool { return strings.Contains(c.Metadata, "://") }

// Check tells all that is wrong with a configuration. It reads no file and
// asks nobody.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Metadata == "" {
		bad("expected where the provider's metadata is, as in `sign_in saml https://idp.example.gov/metadata` or a file")
	}
	if c.remote() {
		u, err := url.Parse(c.Metadata)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
			bad("%s: expected an https address or a file", c.Metadata)
		case !c.Safe(u) && c.MetadataCertificate == "":
			bad("%s: whoever is on the way could sign in as anybody; use https, or metadata_certificate (or `insecure`, where the network is trusted)", c.Metadata)
		}
	}
	if (c.Certificate == "") != (c.Key == "") {
		bad("certificate and key go together")
	}
	return errors.Join(append(errs, c.CheckTimeout())...)
}

// pair is the gateway's own certificate and key.
type pair struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// readPair reads them, nil where there are none.
func (c *Config) readPair() (*pair, error) {
	if c.Key == "" {
		return nil, nil
	}
	read, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	certificate, err := x509.ParseCertificate(read.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, ok := read.PrivateKey.(crypto.Signer)
	if !ok || signatureMethod(key) == "" {
		return nil, errors.New("key: expected an RSA or an ECDSA key")
	}
	return &pair{certificate, key}, nil
}

// readFile reads a file that is no longer than metadata may be.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxMetadata+1))
	if err == nil && len(text) > maxMetadata {
		err = errors.New("longer than metadata may be")
	}
	return text, err
}
