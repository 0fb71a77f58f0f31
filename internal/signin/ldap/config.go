package ldap

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/stepgate/stepgate/internal/signin"
)

// Config is a directory as it is configured.
type Config struct {
	// Servers are ldap:// and ldaps:// addresses, asked in this order: the
	// next one where one cannot be reached.
	Servers []string `json:"servers"`
	// BaseDN is the entry below which people are looked for.
	BaseDN string `json:"base_dn"`
	// Filter finds a person (RFC 4515). {username} is the name without a
	// domain, {login} what was typed; both are escaped. Default:
	// (uid={username}).
	Filter string `json:"filter,omitempty"`
	// BindDN and BindPassword are the reader that searches. Default: nobody,
	// an anonymous search.
	BindDN string `json:"bind_dn,omitempty"`
	// BindPassword may be a placeholder: {env.X} or {file.X}.
	BindPassword string `json:"bind_password,omitempty"`
	// StartTLS turns an ldap:// connection into an encrypted one before
	// anything else is said on it.
	StartTLS bool `json:"start_tls,omitempty"`
	// Insecure lets passwords cross the network unencrypted.
	Insecure bool `json:"insecure,omitempty"`
	// CAFile has the certificates, in PEM, that servers' certificates must
	// lead to. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Domains are the names before a backslash (DOMAIN\name) that are this
	// directory's. With another one nobody is found. After an @ they are left
	// out of {username}. Default: every one is this directory's, and none is
	// left out after an @.
	Domains []string `json:"domains,omitempty"`
	// Attributes name the attributes that are read.
	Attributes Attributes `json:"attributes,omitzero"`
	// NestedGroups counts the groups of groups as the person's own.
	NestedGroups bool `json:"nested_groups,omitempty"`
	// Recheck is how often people who are signed in are looked up again.
	// Default: 5m; 0 never does.
	Recheck *time.Duration `json:"recheck,omitempty"`
	// ChangePassword lets people change their password through the gateway: in
	// Active Directory's way where entries have an objectGUID, elsewhere by
	// the Password Modify operation (RFC 3062).
	ChangePassword bool `json:"change_password,omitempty"`
	// Timeout is the longest wait for a connection and for each answer.
	// Default: 5s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Connections is how many searches and how many binds may be under way
	// at once. Default: 16 each.
	Connections int `json:"connections,omitempty"`
}

// Attributes are names of attributes in the directory. Empty ones have a
// default.
type Attributes struct {
	// ID is the stable identifier. Default: entryUUID, where that is missing
	// objectGUID.
	ID string `json:"id,omitempty"`
	// Username is the name that goes to the application. Default: uid, where
	// that is missing sAMAccountName.
	Username string `json:"username,omitempty"`
	// Name, Email and Mobile. Defaults: displayName, where that is missing
	// cn; mail; mobile.
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Mobile string `json:"mobile,omitempty"`
	// Groups lists the person's groups; of a DN the first value counts.
	// Default: memberOf.
	Groups string `json:"groups,omitempty"`
}

const (
	defaultFilter      = "(uid={username})"
	defaultTimeout     = 5 * time.Second
	defaultConnections = 16
	defaultRecheck     = 5 * time.Minute
	// minRecheck keeps a directory from being asked without pause.
	minRecheck = time.Second
)

// Check tells all that is wrong with a configuration. It reads no file and
// asks no server.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Servers) == 0 {
		bad("expected the address of a server, as in `sign_in ldap ldaps://ldap.example.gov`")
	}
	for _, server := range c.Servers {
		if err := c.checkServer(server); err != nil {
			bad("%s: %w", server, err)
		}
	}
	if c.BaseDN == "" {
		bad("base_dn is missing: the entry below which people are, such as ou=people,dc=example,dc=gov")
	} else if _, err := ldap.ParseDN(c.BaseDN); err != nil {
		bad("base_dn %s: not a distinguished name", c.BaseDN)
	}
	if err := checkFilter(cmp.Or(c.Filter, defaultFilter)); err != nil {
		bad("filter: %w", err)
	}
	if (c.BindDN == "") != (c.BindPassword == "") {
		bad("bind_dn and bind_password go together: without a password the server compares nothing")
	}
	if c.Recheck != nil && *c.Recheck != 0 && *c.Recheck < minRecheck {
		bad("recheck %s: expected %s or more, or 0s for never", *c.Recheck, minRecheck)
	}
	if c.Timeout < 0 || c.Connections < 0 {
		bad("timeout and connections must be more than nothing")
	}
	return errors.Join(errs...)
}

func (c *Config) checkServer(server string) error {
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return errors.New("expected an address such as ldaps://ldap.example.gov, without a path")
	case u.Scheme == "ldaps" && c.StartTLS:
		return errors.New("start_tls is for ldap:// addresses; ldaps:// is encrypted from its first byte")
	case u.Scheme == "ldap" && !c.StartTLS && !c.Insecure:
		return errors.New("passwords would cross the network unencrypted; use ldaps://, or add start_tls (or `insecure`, where the network is trusted)")
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return errors.New("expected ldap:// or ldaps://")
	default:
		return nil
	}
}

// checkFilter tells whether a filter is one, and asks for the typed name.
func checkFilter(filter string) error {
	if !strings.Contains(filter, "{username}") && !strings.Contains(filter, "{login}") {
		return errors.New("it has no {username} or {login}: everybody would be the same person")
	}
	if _, err := ldap.CompileFilter(fill(filter, login{typed: "a", name: "a"})); err != nil {
		return errors.New("not a filter as in (uid={username}) or (&(objectClass=person)(mail={login}))")
	}
	return nil
}

// tlsConfig is how server is spoken to.
func (c *Config) tlsConfig(server *url.URL) (*tls.Config, error) {
	config, err := signin.TLS(c.CAFile)
	if err != nil {
		return nil, err
	}
	config.ServerName = server.Hostname()
	return config, nil
}

// login is a name as it was typed and without its domain.
type login struct{ typed, name string }

// readLogin parts DOMAIN\name. ok is false for another directory's domain.
func (c *Config) readLogin(typed string) (l login, ok bool) {
	typed = strings.TrimSpace(typed)
	l = login{typed: typed, name: typed}
	domain, name, found := strings.Cut(typed, `\`)
	if !found {
		if at := strings.LastIndexByte(typed, '@'); at > 0 && c.own(typed[at+1:]) {
			l.name = typed[:at]
		}
		return l, typed != ""
	}
	l.name, l.typed = name, name
	return l, name != "" && (len(c.Domains) == 0 || c.own(domain))
}

// own tells whether a domain is one of those that are named.
func (c *Config) own(domain string) bool {
	return slices.ContainsFunc(c.Domains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// fill puts a typed name into a filter. Its bytes can end no value and open no
// other (RFC 4515 §3).
func fill(filter string, l login) string {
	return strings.NewReplacer("{username}", ldap.EscapeFilter(l.name), "{login}", ldap.EscapeFilter(l.typed)).Replace(filter)
}

// anybody is a filter for all whom the configured one could find, whatever they
// type: (uid=*), which is that there is one. Where a matching rule takes the
// name, or an order of values, there is no such filter, and it is empty.
func anybody(filter string) string {
	for _, other := range []string{":={", "~={", ">={", "<={"} {
		if strings.Contains(filter, other) {
			return ""
		}
	}
	filter = strings.NewReplacer("{username}", "*", "{login}", "*").Replace(filter)
	for strings.Contains(filter, "**") {
		filter = strings.ReplaceAll(filter, "**", "*")
	}
	return filter
}

// wanted are those to ask for. By an objectGUID Active Directory is known, also
// where people are known by something else.
func (a Attributes) wanted() []string {
	all := slices.Concat(a.id(), a.username(), a.name(), []string{a.email(), a.mobile(), a.groups()}, stateAttributes)
	if !slices.Contains(all, "objectGUID") {
		all = append(all, "objectGUID")
	}
	return all
}

func (a Attributes) id() []string       { return oneOr(a.ID, "entryUUID", "objectGUID") }
func (a Attributes) username() []string { return oneOr(a.Username, "uid", "sAMAccountName") }
func (a Attributes) name() []string     { return oneOr(a.Name, "displayName", "cn") }
func (a Attributes) email() string      { return cmp.Or(a.Email, "mail") }
func (a Attributes) mobile() string     { return cmp.Or(a.Mobile, "mobile") }
func (a Attributes) groups() string     { return cmp.Or(a.Groups, "memberOf") }

func oneOr(configured string, fallback ...string) []string {
	if configured != "" {
		return []string{configured}
	}
	return fallback
}

// dialer opens connections within the configured time.
func (c *Config) dialer() *net.Dialer {
	return &net.Dialer{Timeout: c.timeout(), KeepAlive: 30 * time.Second}
}

func (c *Config) timeout() time.Duration { return cmp.Or(c.Timeout, defaultTimeout) }
