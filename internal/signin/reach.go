package signin

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// TLS is how a source speaks to its server: with certificates that lead to one
// of caFile, in PEM, or to one of the system's where it is "".
func TLS(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: no certificate in it", caFile)
	}
	return config, nil
}

// Provider is what is configured alike of all who sign people in elsewhere.
type Provider struct {
	// Label is how pages call it. Default: the source's name.
	Label string `json:"label,omitempty"`
	// Trust says which of its words for how somebody signed in count as which
	// factor (`trust_amr`). Default: none.
	Trust Trust `json:"trust_amr,omitempty"`
	// KeepSignedIn leaves people signed in there when they sign out here.
	KeepSignedIn bool `json:"keep_signed_in,omitempty"`
	// CAFile has the certificates, in PEM, that its server's must lead to.
	// Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Timeout is the longest wait for each of its answers. Default: 10s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Insecure allows a server without TLS on a network that is trusted. On a
	// loopback address it is allowed anyway.
	Insecure bool `json:"insecure,omitempty"`
}

const defaultTimeout = 10 * time.Second

// CheckTimeout tells whether Timeout is one.
func (p *Provider) CheckTimeout() error {
	if p.Timeout < 0 {
		return errors.New("timeout must be more than nothing")
	}
	return nil
}

// Safe tells whether nobody on the way can alter what an http or https address
// answers, or whether that is configured not to matter.
func (p *Provider) Safe(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && (p.Insecure || Loopback(u.Hostname()))
}

// Client speaks to one server and to nobody else: it follows no redirects, and
// waits no longer than Timeout.
func (p *Provider) Client() (*http.Client, *http.Transport, error) {
	config, err := TLS(p.CAFile)
	if err != nil {
		return nil, nil, err
	}
	timeout := cmp.Or(p.Timeout, defaultTimeout)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.ResponseHeaderTimeout = config, timeout
	return &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, transport, nil
}

// Loopback tells whether a host is this machine, to which nobody else listens.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
