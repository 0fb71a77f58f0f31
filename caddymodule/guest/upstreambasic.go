package guest

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
)

func init() {
	caddy.RegisterModule(new(SignInUpstreamBasic))
}

// SignInUpstreamBasic is the sign-in source of an app that asks with HTTP
// Basic or Digest itself.
type SignInUpstreamBasic struct {
	// SourceName tells sources of this kind apart; accounts are keyed by it.
	// Default: upstream_basic.
	SourceName string `json:"name,omitempty"`
	// Identity is what an account is known by. Default: name, the only one.
	Identity string `json:"identity,omitempty"`
	// Cache is how long a program that keeps no cookies goes on in the session
	// of its first call. Default: 5m.
	Cache caddy.Duration `json:"cache,omitempty"`
	// Probe is a path and query at which the app asks everybody, and a GET of
	// which changes nothing. Default: /.
	Probe string `json:"probe,omitempty"`
	// OwnPage has people type name and password into the gateway's own page, in
	// place of the browser's box; their browser then holds them, sealed with
	// the gateway's key. Default: the application's own question.
	OwnPage bool `json:"own_page,omitempty"`

	basic *upstreambasic.Source
}

// CaddyModule implements caddy.Module.
func (*SignInUpstreamBasic) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.upstream_basic", New: func() caddy.Module { return new(SignInUpstreamBasic) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler:
//
//	sign_in upstream_basic [NAME] {
//		identity name
//		cache    DURATION
//		probe    PATH
//		own_page
//	}
func (s *SignInUpstreamBasic) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		s.SourceName = d.Val()
	}
	if err := block.NoMore(d); err != nil {
		return err
	}
	err := block.Block{
		Name: "sign_in upstream_basic",
		Options: map[string]func(*caddyfile.Dispenser) error{
			"identity": block.OneWord(&s.Identity),
			"cache":    block.Duration(&s.Cache),
			"probe":    block.OneWord(&s.Probe),
			"own_page": block.Flag(&s.OwnPage),
		},
	}.Parse(d)
	if err != nil {
		return err
	}
	_, err = upstreambasic.New(s.Name(), s.config())
	return block.RefusedAt(d, "sign_in upstream_basic", err)
}

func (s *SignInUpstreamBasic) config() upstreambasic.Config {
	return upstreambasic.Config{Identity: s.Identity, Cache: time.Duration(s.Cache), Probe: s.Probe, OwnPage: s.OwnPage}
}

// Name implements source.Module.
func (s *SignInUpstreamBasic) Name() string { return cmp.Or(s.SourceName, "upstream_basic") }

// Provision checks the configuration.
func (s *SignInUpstreamBasic) Provision(caddy.Context) error {
	made, err := upstreambasic.New(s.Name(), s.config())
	if err != nil {
		return fmt.Errorf("sign_in upstream_basic: %w", err)
	}
	s.basic = made
	return nil
}

// SubjectIsName implements source.NameKeyed.
func (*SignInUpstreamBasic) SubjectIsName() bool { return true }

// Basic is the source, once the module is provisioned: the gateway asks the
// app in its name.
func (s *SignInUpstreamBasic) Basic() *upstreambasic.Source { return s.basic }

// Open implements source.Module.
func (s *SignInUpstreamBasic) Open(context.Context, source.Opening) (source.Source, error) {
	if s.OwnPage {
		return s.basic.Checker(), nil
	}
	return s.basic, nil
}

// Interface guards.
var (
	_ source.NameKeyed      = (*SignInUpstreamBasic)(nil)
	_ caddy.Provisioner     = (*SignInUpstreamBasic)(nil)
	_ caddyfile.Unmarshaler = (*SignInUpstreamBasic)(nil)
)
