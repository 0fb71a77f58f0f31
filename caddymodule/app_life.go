package caddymodule

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// CaddyModule implements caddy.Module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "stepgate", New: func() caddy.Module { return new(App) }}
}

// Provision sets defaults. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.logger = ctx.Logger()
	a.asWritten, _ = json.Marshal(a)
	a.setDefaults()
	if err := a.registerMetrics(ctx); err != nil {
		return fmt.Errorf("stepgate: metrics: %w", err)
	}
	if err := a.expandSecrets(); err != nil {
		return err
	}
	return a.provisionSenders(ctx)
}

func (a *App) setDefaults() {
	if a.Store == nil {
		a.Store = &StoreConfig{Driver: storeDrivers[0].name}
	}
	if driver := a.Store.driver(); driver != nil {
		driver.complete(a.Store)
		if a.KeyFile == "" {
			a.KeyFile = driver.keyFile(a.Store)
		}
	}
	if a.Region == "" {
		a.Region = "GB"
	}
	if a.Session == nil {
		a.Session = new(SessionConfig)
	}
	if a.Codes == nil {
		a.Codes = new(CodesConfig)
	}
	defaultDuration(&a.Session.Absolute, defaultAbsolute)
	defaultDuration(&a.Session.Idle, min(defaultIdle, time.Duration(a.Session.Absolute)))
	defaultDuration(&a.StoreGrace, defaultStoreGrace)
	defaultDuration(&a.Codes.Lifetime, 10*time.Minute)
	if a.Codes.SMSPerMonth == 0 {
		a.Codes.SMSPerMonth = 20000
	}
	if len(a.Codes.SMSCountries) == 0 {
		a.Codes.SMSCountries = []string{a.Region}
	}
}

func defaultDuration(d *caddy.Duration, fallback time.Duration) {
	if *d == 0 {
		*d = caddy.Duration(fallback)
	}
}

// Defaults of the app, from the contract's section 2.
const (
	defaultIdle       = 30 * time.Minute
	defaultAbsolute   = 12 * time.Hour
	defaultStoreGrace = 10 * time.Second
)

// expandSecrets resolves placeholders of the kinds {env.X} and {file.X}.
func (a *App) expandSecrets() error {
	repl := caddy.NewReplacer()
	for _, field := range []*string{&a.Store.Path, &a.Store.DSN, &a.KeyFile, &a.GeoIP} {
		value, err := repl.ReplaceOrErr(*field, true, true)
		if err != nil {
			return fmt.Errorf("stepgate: %w", err)
		}
		*field = value
	}
	return nil
}

// Stop lets go of what Start took over. The store stays open for the
// configuration that follows; Cleanup lets go of it.
func (a *App) Stop() error {
	a.awaiting.stop()
	if a.unfollow != nil {
		a.unfollow()
	}
	a.forwarding.stop()
	a.rechecking.stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runtime != nil {
		active.CompareAndSwap(a.runtime, nil)
		a.undo() // a configuration that was refused changes nothing
	}
	return nil
}

// Cleanup releases the store, once no phone is being told of what is in it: by
// then no server of this configuration runs any more. It runs after a provision
// that failed half way too, when nothing has been opened.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if countries := a.countries.Swap(nil); countries != nil {
		defer countries.Close()
	}
	if a.runtime == nil {
		return nil
	}
	if a.runtime.phones != nil {
		a.runtime.phones.Stop()
	}
	a.runtime = nil
	_, err := pool.Delete(a.key)
	return err
}

// Start opens the store and takes over from the configuration before it. A
// store that is not there yet is waited for, so that it takes no other site of
// this server along.
func (a *App) Start() error {
	if err := a.openGeoIP(); err != nil {
		return fmt.Errorf("%s%w", a.where(), err)
	}
	a.unfollow = a.followGeoIP(geoIPEvery)
	r, err := a.openNow(a.ctx)
	if err == nil {
		a.started(r)
		return nil
	}
	if wrong := a.mayAwait(err); wrong != nil {
		return wrong
	}
	a.await(err)
	return nil
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
