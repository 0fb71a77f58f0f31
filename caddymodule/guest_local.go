package caddymodule

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

func init() {
	caddy.RegisterModule(new(SignInLocal))
}

// signInModule is a module of the namespace stepgate.sign_in: a source that
// is made once the store is open.
type signInModule interface {
	caddy.Module
	// Name is the source's name; accounts are keyed by it.
	Name() string
	open(r *runtime) (signin.Source, error)
}

// SignInLocal is the sign-in source of the gateway's own accounts.
type SignInLocal struct{}

// CaddyModule implements caddy.Module.
func (*SignInLocal) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate.sign_in.local", New: func() caddy.Module { return new(SignInLocal) }}
}

// Name implements signInModule.
func (*SignInLocal) Name() string { return account.LocalSource }

func (*SignInLocal) open(r *runtime) (signin.Source, error) { return r.local, nil }

// provisionSources loads the site's sign-in sources; none is `local`.
func (h *Handler) provisionSources(ctx caddy.Context) error {
	if len(h.SignIn) == 0 {
		h.SignIn = []json.RawMessage{json.RawMessage(`{"source":"local"}`)}
	}
	loaded, err := ctx.LoadModule(&h.SiteConfig, "SignIn")
	if err != nil {
		return fmt.Errorf("sign_in: %w", err)
	}
	seen := map[string]bool{}
	for _, module := range loaded.([]any) {
		source, ok := module.(signInModule)
		if !ok {
			return fmt.Errorf("sign_in: %T is no sign-in source", module)
		}
		if seen[source.Name()] {
			return fmt.Errorf("sign_in: two sources are called %s; name one of them", source.Name())
		}
		seen[source.Name()] = true
		h.sources = append(h.sources, source)
		if err := h.watchForm(source); err != nil {
			return err
		}
	}
	return nil
}
