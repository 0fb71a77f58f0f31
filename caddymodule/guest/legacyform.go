package guest

import (
	"cmp"
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

func init() {
	caddy.RegisterModule(new(SignInLegacyForm))
}

// SignInLegacyForm is the sign-in source of a legacy app that keeps its own
// login form, which the gateway watches.
type SignInLegacyForm struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: legacy_form.
	SourceName string `json:"name,omitempty"`
	legacyform.Config

	form         *legacyform.Form
	fieldsInJSON int // while the block is read
}

// CaddyModule implements caddy.Module.
func (*SignInLegacyForm) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.legacy_form", New: func() caddy.Module { return new(SignInLegacyForm) }}
}

// Name implements source.Module.
func (s *SignInLegacyForm) Name() string { return cmp.Or(s.SourceName, "legacy_form") }

// Provision compiles the form.
func (s *SignInLegacyForm) Provision(caddy.Context) error {
	form, err := legacyform.New(s.Name(), s.Config)
	if err != nil {
		return fmt.Errorf("sign_in legacy_form: %w", err)
	}
	s.form = form
	return nil
}

// SubjectIsName implements source.NameKeyed: the app knows people by nothing
// but a name.
func (*SignInLegacyForm) SubjectIsName() bool { return true }

// Form is the form, once the module is provisioned: the gateway watches it.
func (s *SignInLegacyForm) Form() *legacyform.Form { return s.form }

// Open implements source.Module.
func (s *SignInLegacyForm) Open(context.Context, source.Opening) (source.Source, error) {
	return s.form, nil
}

// Interface guards.
var (
	_ source.NameKeyed      = (*SignInLegacyForm)(nil)
	_ caddy.Provisioner     = (*SignInLegacyForm)(nil)
	_ caddyfile.Unmarshaler = (*SignInLegacyForm)(nil)
)
