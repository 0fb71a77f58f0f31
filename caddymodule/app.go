package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/oschwald/maxminddb-golang/v2"
	"go.uber.org/zap"

	_ "github.com/stepgate/stepgate/caddymodule/guest" // the providers of the tree
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/webauthn"
)

func init() {
	caddy.RegisterModule(new(App))
}

// Defaults of the app, from the contract's section 2.
const (
	defaultIdle       = 30 * time.Minute
	defaultAbsolute   = 12 * time.Hour
	defaultStoreGrace = 10 * time.Second
)

// App is the Caddy app "stepgate": what the sites of a server share. It opens
// the store when it starts or when a site first needs it, never when it is
// provisioned, for `validate` provisions too.
type App struct {
	// Source is where the global option stands (FILE:LINE), for messages.
	Source string `json:"source,omitempty"`
	// Store says where accounts, sessions and the audit trail are kept.
	// Default: SQLite, stepgate/stepgate.db in Caddy's data directory.
	Store *StoreConfig `json:"store,omitempty"`
	// KeyFile is the path of the key file. Default: stepgate.key beside the
	// SQLite file. Made with a new store, mode 0600.
	KeyFile string `json:"key_file,omitempty"`
	// KeyEnv is the environment variable that holds the text of a key file, in
	// place of KeyFile. Default: none.
	KeyEnv string `json:"key_env,omitempty"`
	// KeyCommand is a program, with its arguments, that prints it. Default: none.
	KeyCommand []string `json:"key_command,omitempty"`
	// Region is the ISO 3166 country that a national phone number belongs
	// to. Default: GB.
	Region string `json:"region,omitempty"`
	// SMS is the provider of text messages: a module of the namespace
	// stepgate.sms. Default: none, and no factor that needs it is offered.
	SMS json.RawMessage `json:"sms,omitempty" caddy:"namespace=stepgate.sms inline_key=provider"`
	// Email is the provider of e-mail: a module of the namespace
	// stepgate.email. Default: none.
	Email json.RawMessage `json:"email,omitempty" caddy:"namespace=stepgate.email inline_key=provider"`
	// Codes are the limits of codes and messages.
	Codes *CodesConfig `json:"codes,omitempty"`
	// WebAuthn limits security keys and passkeys.
	WebAuthn *WebAuthnConfig `json:"webauthn,omitempty"`
	// Session holds the limits of sessions.
	Session *SessionConfig `json:"session,omitempty"`
	// Devices limits private devices.
	Devices *DevicesConfig `json:"devices,omitempty"`
	// Questions are the operator's own security questions, by language, in
	// place of ours: as many in each, in the same order. Default: ours.
	Questions map[string][]string `json:"questions,omitempty"`
	// Risk is how unusual a session must look to be of some risk.
	Risk *RiskConfig `json:"risk,omitempty"`
	// StoreGrace is how long a node that has lost the store trusts the
	// sessions that it knows. Default: 10s.
	StoreGrace caddy.Duration `json:"store_grace,omitempty"`
	// TwoPerson makes resets of factors and temporary codes wait until another
	// administrator has approved them. Commands on the server do not wait unless
	// they say --two-person. Default: nobody waits.
	TwoPerson bool `json:"two_person,omitempty"`
	// Audit says where else the audit trail goes as it grows. Default: nowhere.
	Audit *AuditConfig `json:"audit,omitempty"`
	// GeoIP is the path of a MaxMind city or country database. Default: none.
	GeoIP string `json:"geoip,omitempty"`
	// Authenticator is where the authenticator app is served. Default: nowhere,
	// and no phone can be paired.
	Authenticator *AuthenticatorConfig `json:"authenticator,omitempty"`
	// InternalNetworks are address ranges (CIDR) that risk scoring takes as
	// the operator's own. Default: none.
	InternalNetworks []string `json:"internal_networks,omitempty"`

	ctx       caddy.Context
	logger    *zap.Logger
	sites     []*Handler
	senders   map[string]delivery.Sender       // by channel
	countries atomic.Pointer[maxminddb.Reader] // nil without geoip, and before Start
	// introductions tell senders the host of the site.
	introductions []func(host string)
	undo          func() // puts back what was in force before

	unfollow   func() // ends following the database of places; nil before Start
	awaiting   awaiting
	forwarding *forwarding // nil without receivers, and before Start
	rechecking *rechecking // nil without a source that can be asked again, and before Start
	// asWritten is the app as Caddy gave it.
	asWritten json.RawMessage

	mu      sync.Mutex
	key     poolKey
	runtime *runtime
	stopped bool
}

// StoreConfig names one database.
type StoreConfig struct {
	// Driver is "sqlite" or "postgres".
	Driver string `json:"driver"`
	// Path is the SQLite file.
	Path string `json:"path,omitempty"`
	// DSN is the PostgreSQL connection string; placeholders {env.X} and
	// {file.X} keep it out of the configuration.
	DSN string `json:"dsn,omitempty"`
}

// CodesConfig holds the limits of one-time codes.
type CodesConfig struct {
	// Lifetime of a code sent by text or e-mail. Default: 10m; at most 15m.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
	// SMSPerMonth is the ceiling of text messages in a calendar month, UTC.
	// Default: 20000.
	SMSPerMonth int `json:"sms_per_month,omitempty"`
	// SMSCountries are the ISO 3166 countries that texts may go to. Default:
	// the region alone.
	SMSCountries []string `json:"sms_countries,omitempty"`
	// SMSPrice is what one text message costs, an amount and a currency
	// ("0.04 GBP"), for the administrators' page of messages. Default: not said.
	SMSPrice string `json:"sms_price,omitempty"`
}

// SessionConfig holds the limits of sessions.
type SessionConfig struct {
	// Idle ends a session that nothing has been heard of for so long.
	// Default: 30m.
	Idle caddy.Duration `json:"idle,omitempty"`
	// Absolute ends a session that began so long ago. Default: 12h.
	Absolute caddy.Duration `json:"absolute,omitempty"`
	// InMemory bounds how many sessions a node has in memory, those used last;
	// another is one read of the store. Default: 100000.
	InMemory int `json:"in_memory,omitempty"`
}

// DevicesConfig limits private devices.
type DevicesConfig struct {
	// Lifetime is how long a device that somebody has made private is one.
	// Default: 30 days.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// deviceLife is 0 where nothing is said.
func (a *App) deviceLife() time.Duration {
	if a.Devices == nil {
		return 0
	}
	return time.Duration(a.Devices.Lifetime)
}

// WebAuthnConfig limits security keys and passkeys.
type WebAuthnConfig struct {
	// AllowAAGUID are the authenticator models that may be enrolled, as
	// their makers print them. Default: all.
	AllowAAGUID []string `json:"allow_aaguid,omitempty"`
}

// models are the authenticator models that may be enrolled; none for all.
func (a *App) models() (models []webauthn.Model, err error) {
	if a.WebAuthn == nil {
		return nil, nil
	}
	for _, text := range a.WebAuthn.AllowAAGUID {
		model, wrong := webauthn.ParseModel(text)
		err = errors.Join(err, wrong)
		models = append(models, model)
	}
	return models, err
}

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

func (a *App) started(r *runtime) {
	active.Store(r)
	a.logger.Info("started", zap.String("store", r.storeName), zap.Int("sites", len(a.sites)))
	a.greet(a.ctx, r)
	a.tellConfiguration(r)
	a.forward(r)
	a.recheck(r)
	for _, site := range a.sites {
		site.warnAboutEnded(time.Now())
		site.warnAboutQuestions()
	}
}

// greet tells an operator with an empty store what to do next.
func (a *App) greet(ctx context.Context, r *runtime) {
	any, err := r.store.AnyAccount(ctx)
	if err != nil || any {
		return
	}
	a.logger.Warn("no account exists yet; add the first owner with: stepgate user add NAME --role owner --password-stdin",
		zap.String("store", r.storeName))
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

// Cleanup releases the store. It runs after a provision that failed half way
// too, when nothing has been opened.
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
	a.runtime = nil
	_, err := pool.Delete(a.key)
	return err
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
