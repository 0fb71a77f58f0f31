package caddymodule

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// parseApp reads the global option:
//
//	stepgate {
//		store sqlite PATH | postgres DSN
//		key_file PATH
//		region COUNTRY
//		sms PROVIDER …
//		email PROVIDER …
//		codes {
//			lifetime SPAN
//			sms_per_month N
//			sms_countries COUNTRY…
//		}
//		webauthn {
//			allow_aaguid AAGUID…
//		}
//		session {
//			idle SPAN
//			absolute SPAN
//		}
//		store_grace SPAN
//		geoip PATH
//		internal_networks CIDR…
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	d.Next() // the option's own word
	app.Source = position(d).String()
	if existing != nil {
		return nil, d.Err("stepgate: the global option is there twice")
	}
	if d.NextArg() {
		return nil, d.Errf("stepgate: unexpected `%s`; options stand in a block", d.Val())
	}
	b := block{name: "stepgate", options: map[string]func(*caddyfile.Dispenser) error{
		"store":             app.parseStore,
		"key_file":          path(&app.KeyFile),
		"region":            oneWord(&app.Region),
		"sms":               provider("sms", &app.SMS),
		"email":             provider("email", &app.Email),
		"codes":             app.parseCodes,
		"webauthn":          app.parseWebAuthn,
		"session":           app.parseSession,
		"store_grace":       duration(&app.StoreGrace),
		"geoip":             path(&app.GeoIP),
		"internal_networks": wordList(&app.InternalNetworks),
	}}
	if err := b.parse(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "stepgate", Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	a.Store = new(StoreConfig)
	if !d.NextArg() {
		return d.Err("store: expected `store sqlite PATH` or `store postgres DSN`")
	}
	a.Store.Driver = d.Val()
	switch a.Store.Driver {
	case "sqlite":
		if d.NextArg() {
			a.Store.Path = besideCaddyfile(d, d.Val())
		}
	case "postgres":
		if !d.NextArg() {
			return d.Err("store postgres: expected a connection string, such as {env.STEPGATE_DSN}")
		}
		a.Store.DSN = d.Val()
	default:
		return d.Errf("store: `%s`: expected sqlite or postgres%s", a.Store.Driver, didYouMean(a.Store.Driver, []string{"sqlite", "postgres"}))
	}
	return noBlock(d)
}

func (a *App) parseCodes(d *caddyfile.Dispenser) error {
	a.Codes = new(CodesConfig)
	if err := noMore(d); err != nil {
		return err
	}
	return block{name: "codes", options: map[string]func(*caddyfile.Dispenser) error{
		"lifetime":      duration(&a.Codes.Lifetime),
		"sms_per_month": number(&a.Codes.SMSPerMonth),
		"sms_countries": wordList(&a.Codes.SMSCountries),
	}}.parse(d)
}

func (a *App) parseWebAuthn(d *caddyfile.Dispenser) error {
	a.WebAuthn = new(WebAuthnConfig)
	if err := noMore(d); err != nil {
		return err
	}
	return block{name: "webauthn", options: map[string]func(*caddyfile.Dispenser) error{
		"allow_aaguid": wordList(&a.WebAuthn.AllowAAGUID),
	}}.parse(d)
}

func (a *App) parseSession(d *caddyfile.Dispenser) error {
	a.Session = new(SessionConfig)
	if err := noMore(d); err != nil {
		return err
	}
	return block{name: "session", options: map[string]func(*caddyfile.Dispenser) error{
		"idle":     duration(&a.Session.Idle),
		"absolute": duration(&a.Session.Absolute),
	}}.parse(d)
}

// provider reads the rest of `sms NAME …` or `email NAME …` with the module
// that the name stands for.
func provider(option string, into *json.RawMessage) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.Errf("%s: expected the name of a provider", option)
		}
		name := d.Val()
		id := "stepgate." + option + "." + name
		if _, err := caddy.GetModule(id); err != nil {
			return unknownModule(d, option, name, "stepgate."+option)
		}
		module, err := caddyfile.UnmarshalModule(d, id)
		if err != nil {
			return err
		}
		*into = caddyconfig.JSONModuleObject(module, "provider", name, nil)
		return nil
	}
}

// unknownModule is the error of a name that no module of a namespace has.
func unknownModule(d *caddyfile.Dispenser, option, name, namespace string) error {
	var known []string
	for _, m := range caddy.GetModules(namespace) {
		known = append(known, m.ID.Name())
	}
	expected := didYouMean(name, known)
	if expected == "" && len(known) > 0 {
		expected = "; expected one of " + strings.Join(known, ", ")
	}
	return d.Errf("%s: there is no `%s` in this build%s", option, name, expected)
}
