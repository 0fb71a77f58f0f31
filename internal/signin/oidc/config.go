package oidc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/stepgate/stepgate/internal/signin"
)

// Config is an issuer as it is configured.
type Config struct {
	signin.Provider
	// Issuer is its identifier, exactly as its tokens write it.
	Issuer string `json:"issuer"`
	// ClientID and ClientSecret are what the issuer knows this portal by. The
	// secret may be a placeholder, {env.X} or {file.X}; empty for a public
	// client.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	// Scopes to ask for beside openid. Default: profile, email.
	Scopes []string `json:"scopes,omitempty"`
	// Claims say where in the ID token things are.
	Claims Claims `json:"claims,omitzero"`
	// UserInfo asks the issuer's UserInfo endpoint too, for claims that are
	// not in the ID token.
	UserInfo bool `json:"userinfo,omitempty"`
	// Require lists what claims must be, or hold, for somebody to be let in:
	// one of the values of each.
	Require map[string][]string `json:"require,omitempty"`
	// Overage is where the groups are asked for that are too many for a token,
	// with the person's access token: Microsoft Graph's getMemberGroups.
	// Default: nowhere, and such a person is not let in.
	Overage string `json:"overage,omitempty"`
	// ACRValues are asked for at each sign-in, in order of preference.
	ACRValues []string `json:"acr_values,omitempty"`
}

// Claims are paths into the ID token, with dots between steps
// (realm_access.roles). Empty ones have a default.
type Claims struct {
	// Username. Default: preferred_username, where that is missing email.
	Username string `json:"username,omitempty"`
	// Name, Email, Mobile and Groups. Defaults: name, email, phone_number,
	// groups. Groups may be none: the issuer does not know them.
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Mobile string `json:"mobile,omitempty"`
	Groups string `json:"groups,omitempty"`
}

// maxAnswer bounds what is read of any answer of the issuer, in bytes.
const maxAnswer = 1 << 20

// Check tells all that is wrong with a configuration. It reads no file and
// asks nobody.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https":
		bad("%q: expected the issuer's address, as in `sign_in oidc https://login.example.gov`", c.Issuer)
	case !c.Safe(u):
		bad("%s: whoever is on the way could sign in as anybody; use https (or `insecure`, where the network is trusted)", c.Issuer)
	}
	if c.Overage != "" {
		if o, err := url.Parse(c.Overage); err != nil || o.Hostname() == "" || !c.Safe(o) {
			bad("overage %s: expected an https address, such as https://graph.microsoft.com/v1.0/me/getMemberGroups", c.Overage)
		}
	}
	if c.ClientID == "" {
		bad("client_id is missing: the name that the issuer knows this portal by")
	}
	return errors.Join(append(errs, c.CheckTimeout())...)
}

// client speaks to the issuer, and reads no answer without end.
func (c *Config) client() (*http.Client, error) {
	client, transport, err := c.Client()
	if err != nil {
		return nil, err
	}
	client.Transport = bounded{transport}
	return client, nil
}

// bounded ends every answer after maxAnswer bytes.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}
