package caddymodule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/stepgate/stepgate/caddymodule/block"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/risk"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("stepgate", parseApp)
	httpcaddyfile.RegisterDirective("stepgate", parseSite)
	httpcaddyfile.RegisterDirectiveOrder("stepgate", httpcaddyfile.After, "forward_auth")
}

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
//			sms_price "AMOUNT CURRENCY"
//		}
//		webauthn {
//			allow_aaguid AAGUID…
//		}
//		session {
//			idle SPAN
//			absolute SPAN
//			in_memory N
//		}
//		devices {
//			lifetime SPAN
//		}
//		questions {
//			LANGUAGE QUESTION…
//		}
//		risk {
//			weight SIGNAL N
//			medium N
//			high N
//			absence SPAN
//		}
//		store_grace SPAN
//		two_person
//		audit {
//			syslog tcp://HOST:PORT|tls://HOST:PORT
//			json_lines PATH|tcp://HOST:PORT|tls://HOST:PORT
//		}
//		authenticator ORIGIN {
//			push_services HOST…
//		}
//		geoip PATH
//		internal_networks CIDR…
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	d.Next() // the option's own word
	app.Source = block.Position(d).String()
	if existing != nil {
		return nil, d.Err("stepgate: the global option is there twice")
	}
	if d.NextArg() {
		return nil, d.Errf("stepgate: unexpected `%s`; options stand in a block", d.Val())
	}
	b := block.Block{Name: "stepgate", Options: map[string]func(*caddyfile.Dispenser) error{
		"store":             app.parseStore,
		"key_file":          app.parseKeyFile,
		"region":            block.OneWord(&app.Region),
		"sms":               provider("sms", &app.SMS),
		"email":             provider("email", &app.Email),
		"codes":             app.parseCodes,
		"webauthn":          app.parseWebAuthn,
		"session":           app.parseSession,
		"devices":           app.parseDevices,
		"questions":         app.parseQuestions,
		"risk":              app.parseRisk,
		"store_grace":       block.Duration(&app.StoreGrace),
		"two_person":        block.Flag(&app.TwoPerson),
		"audit":             app.parseAudit,
		"authenticator":     app.parseAuthenticatorOption,
		"geoip":             block.Path(&app.GeoIP),
		"internal_networks": block.WordList(&app.InternalNetworks),
	}}
	lines := map[string]policy.Position{}
	for word, option := range b.Options {
		b.Options[word] = func(d *caddyfile.Dispenser) error {
			lines[word] = block.Position(d)
			return option(d)
		}
	}
	if err := b.Parse(d); err != nil {
		return nil, err
	}
	if err := app.checkAsRead(lines); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "stepgate", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseKeyFile reads
//
//	key_file PATH
//	key_file env NAME
//	key_file command PROGRAM [ARG…]
func (a *App) parseKeyFile(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	switch {
	case len(words) == 1 && words[0] != "":
		a.KeyFile = block.Beside(d, words[0])
	case len(words) == 2 && words[0] == "env":
		a.KeyEnv = words[1]
	case len(words) >= 2 && words[0] == "command":
		a.KeyCommand = words[1:]
	default:
		return d.Err("key_file: expected a path, `env NAME`, or `command PROGRAM` with its arguments")
	}
	return nil
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	a.Store = new(StoreConfig)
	if !d.NextArg() {
		return d.Err("store: expected `store sqlite PATH` or `store postgres DSN`")
	}
	a.Store.Driver = d.Val()
	driver := a.Store.driver()
	if driver == nil {
		return d.Errf("store: `%s`: expected %s%s", a.Store.Driver, strings.Join(driverNames(), " or "), block.DidYouMean(a.Store.Driver, driverNames()))
	}
	if err := driver.read(a.Store, d); err != nil {
		return err
	}
	return block.NoBlock(d)
}

func (a *App) parseCodes(d *caddyfile.Dispenser) error {
	a.Codes = new(CodesConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "codes", Options: map[string]func(*caddyfile.Dispenser) error{
		"lifetime":      block.Duration(&a.Codes.Lifetime),
		"sms_per_month": block.Number(&a.Codes.SMSPerMonth),
		"sms_countries": block.WordList(&a.Codes.SMSCountries),
		"sms_price":     block.Checked(&a.Codes.SMSPrice, checkPrice),
	}}.Parse(d)
}

func (a *App) parseWebAuthn(d *caddyfile.Dispenser) error {
	a.WebAuthn = new(WebAuthnConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "webauthn", Options: map[string]func(*caddyfile.Dispenser) error{
		"allow_aaguid": block.WordList(&a.WebAuthn.AllowAAGUID),
	}}.Parse(d)
}

func (a *App) parseSession(d *caddyfile.Dispenser) error {
	a.Session = new(SessionConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "session", Options: map[string]func(*caddyfile.Dispenser) error{
		"idle":      block.Duration(&a.Session.Idle),
		"absolute":  block.Duration(&a.Session.Absolute),
		"in_memory": block.Number(&a.Session.InMemory),
	}}.Parse(d)
}

func (a *App) parseDevices(d *caddyfile.Dispenser) error {
	a.Devices = new(DevicesConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "devices", Options: map[string]func(*caddyfile.Dispenser) error{
		"lifetime": block.Duration(&a.Devices.Lifetime),
	}}.Parse(d)
}

func (a *App) parseRisk(d *caddyfile.Dispenser) error {
	a.Risk = new(RiskConfig)
	if err := block.NoMore(d); err != nil {
		return err
	}
	return block.Block{Name: "risk", Repeated: []string{"weight"}, Options: map[string]func(*caddyfile.Dispenser) error{
		"weight":  a.Risk.parseWeight,
		"medium":  block.Number(&a.Risk.Medium),
		"high":    block.Number(&a.Risk.High),
		"absence": block.Duration(&a.Risk.Absence),
	}}.Parse(d)
}

// parseWeight reads `weight SIGNAL N`.
func (c *RiskConfig) parseWeight(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("weight: expected a signal and a number, such as `weight new_country 30`")
	}
	if !slices.Contains(risk.Names(), args[0]) {
		return d.Errf("weight: `%s`: no such signal%s", args[0], block.Expected(args[0], risk.Names()))
	}
	if _, twice := c.Weights[args[0]]; twice {
		return d.Errf("weight %s: it is there twice", args[0])
	}
	weight, err := strconv.Atoi(args[1])
	if err != nil || weight < 0 {
		return d.Errf("weight %s: `%s`: expected a number of 0 or more", args[0], args[1])
	}
	if c.Weights == nil {
		c.Weights = map[string]int{}
	}
	c.Weights[args[0]] = weight
	return block.NoBlock(d)
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
			return block.UnknownModule(d, option, name, "stepgate."+option)
		}
		module, err := caddyfile.UnmarshalModule(d, id)
		if err != nil {
			return err
		}
		*into = caddyconfig.JSONModuleObject(module, "provider", name, nil)
		return nil
	}
}
