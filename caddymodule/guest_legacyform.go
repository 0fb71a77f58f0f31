package caddymodule

import (
	"cmp"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/internal/signin"
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

	form *legacyform.Form
}

// CaddyModule implements caddy.Module.
func (*SignInLegacyForm) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.legacy_form", New: func() caddy.Module { return new(SignInLegacyForm) }}
}

// Name implements signInModule.
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

// subjectIsName says that the app knows people by nothing but a name.
func (*SignInLegacyForm) subjectIsName() bool { return true }

func (s *SignInLegacyForm) open(*runtime) (signin.Source, error) { return s.form, nil }

// watchForm makes the handler watch the form of a source. One site has one.
func (h *Handler) watchForm(source signInModule) error {
	watched, ok := source.(*SignInLegacyForm)
	if !ok {
		return nil
	}
	if h.form != nil {
		return fmt.Errorf("sign_in legacy_form: a site has one application with one login form; give %s a site of its own", watched.Name())
	}
	h.form = watched.form
	return nil
}

// Interface guards.
var (
	_ signInModule          = (*SignInLegacyForm)(nil)
	_ caddy.Provisioner     = (*SignInLegacyForm)(nil)
	_ caddyfile.Unmarshaler = (*SignInLegacyForm)(nil)
)
