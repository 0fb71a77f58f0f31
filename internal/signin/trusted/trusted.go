package trusted

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Config is a trusted source as it is configured.
type Config struct {
	// Placeholder is what an earlier handler leaves with the request, without
	// braces: http.auth.user.id, http.request.tls.client.subject,
	// http.request.header.X-Remote-User.
	Placeholder string `json:"placeholder"`
	// EarlierHandler says that an earlier handler sets the header that the
	// placeholder names, and overwrites a client's.
	EarlierHandler bool `json:"earlier_handler,omitempty"`
	// Name, Email and Groups are placeholders of what else is known of the
	// person, without braces. Groups has commas between. Default: nothing.
	Name   string `json:"name_placeholder,omitempty"`
	Email  string `json:"email_placeholder,omitempty"`
	Groups string `json:"groups_placeholder,omitempty"`
}

// Headers are the request headers that the configuration reads.
func (c *Config) Headers() (names []string) {
	for _, placeholder := range []string{c.Placeholder, c.Name, c.Email, c.Groups} {
		if name, ok := strings.CutPrefix(placeholder, headerPrefix); ok {
			names = append(names, name)
		}
	}
	return names
}

const headerPrefix = "http.request.header."

// peerTrusted is true where the immediate peer is one of Caddy's
// trusted_proxies.
const peerTrusted = "http.vars.trusted_proxy"

// Check tells what is wrong with a configuration.
func (c *Config) Check() error {
	var errs []error
	for option, placeholder := range map[string]string{"": c.Placeholder, "name ": c.Name, "email ": c.Email, "groups ": c.Groups} {
		switch {
		case option == "" && placeholder == "":
			errs = append(errs, errors.New("expected the placeholder that an earlier handler sets, as in `sign_in trusted {http.auth.user.id}`"))
		case strings.ContainsAny(placeholder, "{} "):
			errs = append(errs, fmt.Errorf("%s%s: expected one placeholder and nothing else", option, placeholder))
		case clientWrites(placeholder):
			errs = append(errs, fmt.Errorf("%s{%s}: a client writes it itself; nobody can be known by it", option, placeholder))
		}
	}
	return errors.Join(errs...)
}

// clientWrites tells whether a placeholder holds what every client can choose.
func clientWrites(placeholder string) bool {
	if !strings.HasPrefix(placeholder, "http.request.") {
		return false
	}
	return !strings.HasPrefix(placeholder, headerPrefix) && !strings.HasPrefix(placeholder, "http.request.tls.client.")
}

// Source believes an earlier handler. Safe for concurrent use.
type Source struct {
	name   string
	config Config
}

var _ signin.Asserter = (*Source)(nil)

// New makes a source of a configuration that Check found nothing wrong with.
func New(name string, c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &Source{name: name, config: c}, nil
}

// Name implements signin.Source.
func (s *Source) Name() string { return s.name }

// Assert implements signin.Asserter.
func (s *Source) Assert(r *http.Request, earlier signin.Lookup) (signin.Identity, error) {
	value, err := s.value(r, earlier, s.config.Placeholder)
	if err != nil {
		return signin.Identity{}, err
	}
	if value == "" {
		return signin.Identity{}, signin.ErrNobody
	}
	if account.CheckUsername(value) != nil {
		return signin.Identity{}, fmt.Errorf("%w: the earlier handler's value is no username", signin.ErrRefused)
	}
	who := signin.Identity{Source: s.name, Subject: account.FoldUsername(value), Username: value, MayCreate: true, GroupsKnown: s.config.Groups != ""}
	who.Name, _ = s.value(r, earlier, s.config.Name)
	who.Email, _ = s.value(r, earlier, s.config.Email)
	groups, _ := s.value(r, earlier, s.config.Groups)
	for group := range strings.SplitSeq(groups, ",") {
		if group = strings.TrimSpace(group); group != "" {
			who.Groups = append(who.Groups, group)
		}
	}
	return who, nil
}

// value is what a placeholder holds, where it is to be believed.
func (s *Source) value(r *http.Request, earlier signin.Lookup, placeholder string) (string, error) {
	header, isHeader := strings.CutPrefix(placeholder, headerPrefix)
	if !isHeader {
		if placeholder == "" {
			return "", nil
		}
		return strings.TrimSpace(earlier(placeholder)), nil
	}
	values := r.Header.Values(header)
	switch {
	case len(values) == 0:
		return "", nil
	case !s.config.EarlierHandler && earlier(peerTrusted) != "true":
		return "", signin.ErrNobody
	case len(values) > 1:
		return "", fmt.Errorf("%w: the header came more than once", signin.ErrRefused)
	default:
		return strings.TrimSpace(values[0]), nil
	}
}
