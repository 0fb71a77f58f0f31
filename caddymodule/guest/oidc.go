package guest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/oidc"
)

func init() {
	caddy.RegisterModule(new(SignInOIDC))
}

// SignInOIDC is the sign-in source of an OpenID Connect issuer.
type SignInOIDC struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: oidc.
	SourceName string `json:"name,omitempty"`
	oidc.Config

	source *oidc.Source
}

// CaddyModule implements caddy.Module.
func (*SignInOIDC) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.oidc", New: func() caddy.Module { return new(SignInOIDC) }}
}

// Name implements source.Module.
func (s *SignInOIDC) Name() string { return cmp.Or(s.SourceName, "oidc") }

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in oidc ISSUER {
//		name          NAME
//		label         TEXT
//		client_id     ID
//		client_secret SECRET
//		scopes        SCOPE…
//		claim         username|name|email|mobile|groups CLAIM
//		userinfo
//		acr_values    VALUE…
//		ca_file       PATH
//		timeout       DURATION
//		insecure
//	}
func (s *SignInOIDC) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // oidc
	if !d.NextArg() {
		return d.Err("sign_in oidc: expected the issuer's address, as in `sign_in oidc https://login.example.gov`")
	}
	s.Issuer = d.Val()
	if err := block.NoMore(d); err != nil {
		return err
	}
	claims := map[string]*string{
		"username": &s.Claims.Username, "name": &s.Claims.Name, "email": &s.Claims.Email, "mobile": &s.Claims.Mobile, "groups": &s.Claims.Groups,
	}
	err := block.Block{Name: "sign_in oidc", Repeated: []string{"claim"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"name":          block.OneWord(&s.SourceName),
		"label":         block.OneWord(&s.Config.Label),
		"client_id":     block.OneWord(&s.ClientID),
		"client_secret": block.OneWord(&s.ClientSecret),
		"scopes":        block.WordList(&s.Scopes),
		"claim":         named("claim", claims),
		"userinfo":      block.Flag(&s.UserInfo),
		"acr_values":    block.WordList(&s.ACRValues),
		"ca_file":       block.Path(&s.CAFile),
		"timeout":       span(&s.Timeout),
		"insecure":      block.Flag(&s.Insecure),
	}}.Parse(d)
	if err != nil {
		return err
	}
	return block.RefusedAt(d, "sign_in oidc", s.Check(), s.Issuer, s.ClientID)
}

func sortedKeys(m map[string]*string) []string { return slices.Sorted(maps.Keys(m)) }

// Provision resolves placeholders and reads ca_file. It asks nobody.
func (s *SignInOIDC) Provision(caddy.Context) error {
	if err := block.Secrets(&s.Issuer, &s.ClientID, &s.ClientSecret, &s.CAFile); err != nil {
		return fmt.Errorf("sign_in oidc: %w", err)
	}
	made, err := oidc.New(s.Name(), s.Config)
	if err != nil {
		return fmt.Errorf("sign_in oidc: %w", err)
	}
	s.source = made
	return nil
}

// Open implements source.Module.
func (s *SignInOIDC) Open(context.Context, source.Opening) (source.Source, error) {
	return s.source, nil
}

// Interface guards.
var (
	_ source.Module         = (*SignInOIDC)(nil)
	_ caddy.Provisioner     = (*SignInOIDC)(nil)
	_ caddyfile.Unmarshaler = (*SignInOIDC)(nil)
)
