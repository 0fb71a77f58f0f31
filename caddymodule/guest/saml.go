package guest

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/saml"
)

func init() {
	caddy.RegisterModule(new(SignInSAML))
}

// SignInSAML is the sign-in source of a SAML 2.0 identity provider.
type SignInSAML struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: saml.
	SourceName string `json:"name,omitempty"`
	saml.Config

	made[*saml.Source]
}

// CaddyModule implements caddy.Module.
func (*SignInSAML) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.saml", New: func() caddy.Module { return new(SignInSAML) }}
}

// Name implements source.Module.
func (s *SignInSAML) Name() string { return cmp.Or(s.SourceName, "saml") }

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in saml METADATA_URL|FILE {
//		name                 NAME
//		label                TEXT
//		entity_id            ID
//		metadata_certificate PATH
//		certificate          PATH
//		key                  PATH
//		attribute            id|username|name|email|mobile|groups ATTRIBUTE
//		authn_context        CLASS…
//		trust_amr            [CLASS FACTOR]
//		keep_signed_in
//		ca_file              PATH
//		timeout              DURATION
//		insecure
//	}
func (s *SignInSAML) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // saml
	if !d.NextArg() {
		return d.Err("sign_in saml: expected where the provider's metadata is, as in `sign_in saml https://idp.example.gov/metadata` or a file")
	}
	s.Metadata = d.Val()
	if !strings.Contains(s.Metadata, "://") && !strings.HasPrefix(s.Metadata, "{") {
		s.Metadata = block.Beside(d, s.Metadata)
	}
	if err := block.NoMore(d); err != nil {
		return err
	}
	attributes := map[string]*string{
		"id": &s.Attributes.ID, "username": &s.Attributes.Username, "name": &s.Attributes.Name,
		"email": &s.Attributes.Email, "mobile": &s.Attributes.Mobile, "groups": &s.Attributes.Groups,
	}
	options := map[string]func(*caddyfile.Dispenser) error{
		"name":                 block.OneWord(&s.SourceName),
		"entity_id":            block.OneWord(&s.EntityID),
		"metadata_certificate": block.Path(&s.MetadataCertificate),
		"certificate":          block.Path(&s.Certificate),
		"key":                  block.Path(&s.Key),
		"attribute":            named("attribute", attributes),
		"authn_context":        block.WordList(&s.Contexts),
	}
	maps.Copy(options, provider(&s.Provider))
	err := block.Block{Name: "sign_in saml", Repeated: []string{"attribute", "trust_amr"}, Options: options}.Parse(d)
	if err != nil {
		return err
	}
	return block.RefusedAt(d, "sign_in saml", s.Check(), s.Metadata)
}

// Provision resolves placeholders and reads the files. It asks nobody.
func (s *SignInSAML) Provision(caddy.Context) error {
	if err := block.Secrets(&s.Metadata, &s.EntityID, &s.MetadataCertificate, &s.Certificate, &s.Key, &s.CAFile); err != nil {
		return fmt.Errorf("sign_in saml: %w", err)
	}
	made, err := saml.New(s.Name(), s.Config)
	return s.take("sign_in saml", made, err)
}

// Interface guards.
var (
	_ source.Module         = (*SignInSAML)(nil)
	_ caddy.Provisioner     = (*SignInSAML)(nil)
	_ caddyfile.Unmarshaler = (*SignInSAML)(nil)
)
