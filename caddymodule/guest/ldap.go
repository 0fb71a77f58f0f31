package guest

import (
	"cmp"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/ldap"
)

func init() {
	caddy.RegisterModule(new(SignInLDAP))
}

// SignInLDAP is the sign-in source of a directory.
type SignInLDAP struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: ldap.
	SourceName string `json:"name,omitempty"`
	ldap.Config

	made[*ldap.Source]
}

// CaddyModule implements caddy.Module.
func (*SignInLDAP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.ldap", New: func() caddy.Module { return new(SignInLDAP) }}
}

// Name implements source.Module.
func (s *SignInLDAP) Name() string { return cmp.Or(s.SourceName, "ldap") }

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in ldap URL… {
//		name          NAME
//		base_dn       DN
//		filter        FILTER
//		bind_dn       DN
//		bind_password SECRET
//		start_tls
//		insecure
//		ca_file       PATH
//		domains       DOMAIN…
//		attribute     id|username|name|email|mobile|groups ATTRIBUTE
//		nested_groups
//		recheck       DURATION
//		change_password
//		timeout       DURATION
//		connections   N
//	}
func (s *SignInLDAP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // ldap
	s.Servers = d.RemainingArgs()
	names := map[string]*string{
		"id": &s.Attributes.ID, "username": &s.Attributes.Username, "name": &s.Attributes.Name, "email": &s.Attributes.Email,
		"mobile": &s.Attributes.Mobile, "groups": &s.Attributes.Groups,
	}
	err := block.Block{Name: "sign_in ldap", Repeated: []string{"attribute"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"recheck":         s.readRecheck,
		"change_password": block.Flag(&s.ChangePassword),
		"name":            block.OneWord(&s.SourceName),
		"base_dn":         block.OneWord(&s.BaseDN),
		"filter":          block.OneWord(&s.Filter),
		"bind_dn":         block.OneWord(&s.BindDN),
		"bind_password":   block.OneWord(&s.BindPassword),
		"start_tls":       block.Flag(&s.StartTLS),
		"insecure":        block.Flag(&s.Insecure),
		"ca_file":         block.Path(&s.CAFile),
		"domains":         block.WordList(&s.Domains),
		"attribute":       named("attribute", names),
		"nested_groups":   block.Flag(&s.NestedGroups),
		"timeout":         span(&s.Timeout),
		"connections":     block.Number(&s.Connections),
	}}.Parse(d)
	if err != nil {
		return err
	}
	return block.RefusedAt(d, "sign_in ldap", s.Check(), append(s.Servers, s.BindDN, s.BindPassword)...)
}

// readRecheck reads `recheck DURATION`; 0s never looks anybody up again.
func (s *SignInLDAP) readRecheck(d *caddyfile.Dispenser) error {
	var text string
	if err := block.OneWord(&text)(d); err != nil {
		return err
	}
	every, err := caddy.ParseDuration(text)
	if err != nil || every < 0 {
		return d.Errf("recheck: `%s`: expected a length of time with its unit, such as 5m, or 0s for never", text)
	}
	s.Recheck = &every
	return nil
}

// named is an option that gives something a name: `attribute mobile
// telephoneNumber`.
func named(option string, into map[string]*string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		words := d.RemainingArgs()
		known := sortedKeys(into)
		if len(words) != 2 {
			return d.Errf("%s: expected one of %v and a name", option, known)
		}
		field, ok := into[words[0]]
		if !ok {
			return block.Unknown(d, option, words[0], known)
		}
		if *field != "" {
			return d.Errf("%s %s: stands here twice", option, words[0])
		}
		*field = words[1]
		return block.NoBlock(d)
	}
}

// span is block.Duration for rooms that do not know Caddy.
func span(into *time.Duration) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var read caddy.Duration
		err := block.Duration(&read)(d)
		*into = time.Duration(read)
		return err
	}
}

// Provision resolves placeholders and reads ca_file. It asks no server.
func (s *SignInLDAP) Provision(caddy.Context) error {
	if err := block.Secrets(&s.BaseDN, &s.BindDN, &s.BindPassword, &s.CAFile); err != nil {
		return fmt.Errorf("sign_in ldap: %w", err)
	}
	for i := range s.Servers {
		if err := block.Secrets(&s.Servers[i]); err != nil {
			return fmt.Errorf("sign_in ldap: %w", err)
		}
	}
	made, err := ldap.New(s.Name(), s.Config)
	return s.take("sign_in ldap", made, err)
}

// Cleanup ends the connections.
func (s *SignInLDAP) Cleanup() error {
	if s.source == nil {
		return nil
	}
	return s.source.Close()
}

// Interface guards.
var (
	_ source.Module         = (*SignInLDAP)(nil)
	_ caddy.Provisioner     = (*SignInLDAP)(nil)
	_ caddy.CleanerUpper    = (*SignInLDAP)(nil)
	_ caddyfile.Unmarshaler = (*SignInLDAP)(nil)
)
