package guest

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/account"
)

func init() {
	caddy.RegisterModule(new(SignInLocal))
}

// SignInLocal is the sign-in source of the gateway's own accounts.
type SignInLocal struct{}

// CaddyModule implements caddy.Module.
func (*SignInLocal) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.local", New: func() caddy.Module { return new(SignInLocal) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler: `sign_in local` has
// nothing to say.
func (*SignInLocal) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return block.NoBlock(d)
}

// Name implements source.Module.
func (*SignInLocal) Name() string { return account.LocalSource }

// Open implements source.Module.
func (*SignInLocal) Open(_ context.Context, o source.Opening) (source.Source, error) {
	return o.Local, nil
}

// Interface guards.
var (
	_ source.Module         = (*SignInLocal)(nil)
	_ caddyfile.Unmarshaler = (*SignInLocal)(nil)
)
