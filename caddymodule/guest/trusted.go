package guest

import (
	"cmp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/trusted"
)

func init() {
	caddy.RegisterModule(new(SignInTrusted))
}

// SignInTrusted is the sign-in source of whatever an earlier handler, or a
// proxy in front, has authenticated.
type SignInTrusted struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: trusted.
	SourceName string `json:"name,omitempty"`
	trusted.Config

	made[*trusted.Source]
}

// CaddyModule implements caddy.Module.
func (*SignInTrusted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.trusted", New: func() caddy.Module { return new(SignInTrusted) }}
}

// Name implements source.Module.
func (s *SignInTrusted) Name() string { return cmp.Or(s.SourceName, "trusted") }

// SubjectIsName implements source.NameKeyed.
func (*SignInTrusted) SubjectIsName() bool { return true }

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in trusted PLACEHOLDER [from earlier_handler] {
//		name      NAME
//		from      earlier_handler
//		attribute name|email|groups PLACEHOLDER
//	}
func (s *SignInTrusted) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // trusted
	if !d.NextArg() {
		return d.Err("sign_in trusted: expected the placeholder that an earlier handler sets, as in `sign_in trusted {http.auth.user.id}`")
	}
	s.Placeholder = bare(d.Val())
	if d.NextArg() {
		if d.Val() != "from" {
			return d.Errf("sign_in trusted: %s: expected nothing more, or `from earlier_handler`", d.Val())
		}
		if !d.NextArg() || d.Val() != earlierHandler {
			return d.Errf("sign_in trusted: from %s: expected %s", d.Val(), earlierHandler)
		}
		s.EarlierHandler = true
		if err := block.NoMore(d); err != nil {
			return err
		}
	}
	attributes := map[string]*string{"name": &s.Config.Name, "email": &s.Config.Email, "groups": &s.Config.Groups}
	err := block.Block{Name: "sign_in trusted", Repeated: []string{"attribute"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"name":      block.OneWord(&s.SourceName),
		"from":      s.readFrom,
		"attribute": named("attribute", attributes),
	}}.Parse(d)
	if err != nil {
		return err
	}
	for _, placeholder := range attributes {
		*placeholder = bare(*placeholder)
	}
	return block.RefusedAt(d, "sign_in trusted", s.Check(), s.Placeholder)
}

const earlierHandler = "earlier_handler"

func (s *SignInTrusted) readFrom(d *caddyfile.Dispenser) error {
	s.EarlierHandler = true
	return block.OneOf(new(string), earlierHandler)(d)
}

// bare takes the braces off a placeholder.
func bare(placeholder string) string {
	if inner, ok := strings.CutPrefix(placeholder, "{"); ok && strings.HasSuffix(inner, "}") {
		return strings.TrimSuffix(inner, "}")
	}
	return placeholder
}

// Provision checks the configuration.
func (s *SignInTrusted) Provision(caddy.Context) error {
	made, err := trusted.New(s.Name(), s.Config)
	return s.take("sign_in trusted", made, err)
}

// Interface guards.
var (
	_ source.NameKeyed      = (*SignInTrusted)(nil)
	_ caddy.Provisioner     = (*SignInTrusted)(nil)
	_ caddyfile.Unmarshaler = (*SignInTrusted)(nil)
)
