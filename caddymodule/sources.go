package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/caddymodule/guest"
	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// provisionSources loads the site's sign-in sources; none is `local`.
func (h *Handler) provisionSources(ctx caddy.Context) error {
	if h.SignInAt != "" {
		if h.SignInAt == h.Origin {
			return fmt.Errorf("sign_in_at %s: that is this site itself", h.SignInAt)
		}
		return nil
	}
	if len(h.SignIn) == 0 {
		h.SignIn = []json.RawMessage{json.RawMessage(`{"source":"local"}`)}
	}
	loaded, err := ctx.LoadModule(&h.SiteConfig, "SignIn")
	if err != nil {
		return fmt.Errorf("sign_in: %w", err)
	}
	for _, one := range loaded.([]any) {
		module, ok := one.(source.Module)
		if !ok {
			return fmt.Errorf("sign_in: %T is no sign-in source", one)
		}
		h.sources = append(h.sources, module)
	}
	if err := h.checkSources(h.sources); err != nil {
		return err
	}
	for _, module := range h.sources {
		switch module := module.(type) {
		case *guest.SignInUpstreamBasic:
			h.gate.Basic = module.Basic()
		case *guest.SignInLegacyForm:
			h.gate.Form = module.Form()
		}
	}
	return nil
}

// checkSources tells which sources cannot stand beside each other at a site.
// It looks at what is written of them alone, and so it is asked where a
// Caddyfile is read too.
func (c *SiteConfig) checkSources(sources []source.Module) error {
	seen := map[string]bool{}
	var form, basic source.Module
	for _, module := range sources {
		name := module.Name()
		if seen[name] {
			return fmt.Errorf("sign_in: two sources are called %s; name one of them", name)
		}
		seen[name] = true
		switch module.(type) {
		case *guest.SignInUpstreamBasic:
			basic = module
		case *guest.SignInLegacyForm:
			if form != nil {
				return fmt.Errorf("sign_in legacy_form: a site has one application with one login form; give %s a site of its own", name)
			}
			form = module
		}
	}
	if err := c.checkDomains(sources); err != nil {
		return err
	}
	if basic != nil && len(sources) > 1 {
		return fmt.Errorf("sign_in %s: where the application asks for the password nobody else does; take the site's other sources away", basic.Name())
	}
	return nil
}

// peopleSources are the sign-in sources of a configuration, for package
// people.
func (a *App) peopleSources() (all []people.Source) {
	for _, site := range a.sites {
		for _, module := range site.sources {
			at := slices.IndexFunc(all, func(s people.Source) bool { return s.Name == module.Name() })
			if at < 0 {
				named, ok := module.(source.NameKeyed)
				at, all = len(all), append(all, people.Source{Name: module.Name(), SubjectIsName: ok && named.SubjectIsName()})
			}
			for _, other := range site.sources {
				if beside := &all[at].Beside; other.Name() != module.Name() && !slices.Contains(*beside, other.Name()) {
					*beside = append(*beside, other.Name())
				}
			}
		}
	}
	return all
}

// shadowed tells whether the username of an account is, at this site, that of
// another source's account. The site's first source has the name: two people
// of one name cannot be told apart by the app. Names are unique where they are
// made; sources that met by a change of the configuration may share some. shared
// is set where there are several sources, here or at the site that signs people
// in for this one.
func (h *Handler) shadowed(r *runtime) (shadowed func(context.Context, account.Account) (bool, error), shared bool) {
	if at := h.app.siteAt(h.SignInAt); h.SignInAt != "" && at != nil {
		h = at
	}
	return func(ctx context.Context, a account.Account) (bool, error) {
		for _, source := range h.sources {
			if source.Name() == a.Source {
				break
			}
			_, err := r.store.AccountByUsername(ctx, source.Name(), account.FoldUsername(a.Username))
			switch {
			case err == nil:
				h.logger.Warn("somebody was not let in: an account of another source has this username; rename one of them",
					zap.String("account", string(a.ID)), zap.String("source", a.Source), zap.String("other_source", source.Name()))
				return true, nil
			case !errors.Is(err, account.ErrNotFound):
				return false, err
			}
		}
		return false, nil
	}, len(h.sources) > 1
}
