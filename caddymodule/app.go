package caddymodule

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/oschwald/maxminddb-golang/v2"
	"go.uber.org/zap"

	_ "github.com/stepgate/stepgate/caddymodule/guest" // the providers of the tree
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/webauthn"
	"github.com/stepgate/stepgate/internal/device"
	"github.com/stepgate/stepgate/internal/session"
)

func init() {
	caddy.RegisterModule(new(App))
}

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

// where begins the errors about the app.
func (a *App) where() string {
	if a.Source == "" {
		return "stepgate: "
	}
	return "stepgate: " + a.Source + ": "
}

// AuditConfig says where else the audit trail goes as it grows.
type AuditConfig struct {
	// Syslog is a receiver of RFC 5424 messages: tcp://HOST:PORT or
	// tls://HOST:PORT. Default: none.
	Syslog string `json:"syslog,omitempty"`
	// JSONLines takes one JSON object a line: the path of a file, or
	// tcp://HOST:PORT or tls://HOST:PORT. Default: none.
	JSONLines string `json:"json_lines,omitempty"`
}

// RiskConfig is how risk is scored.
type RiskConfig struct {
	// Weights replace those of signals, by name; 0 switches one off.
	Weights map[string]int `json:"weights,omitempty"`
	// Medium is the sum from which the risk is medium. Default: 40.
	Medium int `json:"medium,omitempty"`
	// High is the sum from which the risk is high. Default: 80.
	High int `json:"high,omitempty"`
	// Absence is how long nobody came for a visit to be the first in a long
	// time. Default: 90 days.
	Absence caddy.Duration `json:"absence,omitempty"`
}

// AuthenticatorConfig says where the authenticator app is, so that people can
// pair their phones.
type AuthenticatorConfig struct {
	// Origin is that of the site with `stepgate_authenticator`.
	Origin string `json:"origin"`
	// PushServices are the only hosts that phones are told through, names or
	// *.SUFFIX. One that is written out in full may be at any address, all others
	// only at public ones. Default: all.
	PushServices []string `json:"push_services,omitempty"`
}

// authenticatorChannel stands for the authenticator app among the channels that a
// configuration may have.
const authenticatorChannel = "authenticator"

// has tells whether a configuration names a provider for a channel, before or
// after it was provisioned: Caddy forgets the text of what it has loaded.
func (a *App) has(channel string) bool {
	return channel == "" || channel == authenticatorChannel && a.Authenticator != nil || a.senders[channel] != nil || channel == delivery.SMS && a.SMS != nil || channel == delivery.Email && a.Email != nil
}

func (a *App) limits() session.Limits {
	return session.Limits{
		Idle: time.Duration(a.Session.Idle), Absolute: time.Duration(a.Session.Absolute), PublicIdle: device.PublicIdle,
		InMemory: a.Session.InMemory,
		Grace:    time.Duration(a.StoreGrace),
	}
}

func (a *App) log() *zap.Logger {
	if a.logger == nil {
		return zap.NewNop()
	}
	return a.logger
}

// poolKey is everything that calls for a new store when it changes.
type poolKey struct{ driver, path, dsn, keyFile string }
