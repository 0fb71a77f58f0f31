package upstreambasic

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
)

// Config is an app that asks by itself, as it is configured.
type Config struct {
	// Identity is what an account is known by: name, the only one there is
	// and the default.
	Identity string `json:"identity,omitempty"`
	// Cache is how long a program that keeps no cookies goes on in the
	// session of its first call. Default: 5m; at most an hour.
	Cache time.Duration `json:"cache,omitempty"`
	// Probe is the path and query at which the app is asked whether it
	// accepts somebody. It must ask everybody, and a GET of it must change
	// nothing. Default: /.
	Probe string `json:"probe,omitempty"`
	// OwnPage has people type name and password into the gateway's own page.
	// Their browser holds them from then on, sealed.
	OwnPage bool `json:"own_page,omitempty"`
}

const (
	defaultCache = 5 * time.Minute
	maxCache     = time.Hour
)

// Source is one such app. It is safe for concurrent use.
type Source struct {
	name   string
	config Config
}

// New checks a configuration for the source called name.
func New(name string, c Config) (*Source, error) {
	var errs []error
	if c.Identity != "" && c.Identity != "name" {
		errs = append(errs, fmt.Errorf("identity %s: expected `name`", c.Identity))
	}
	if c.Cache < 0 || c.Cache > maxCache {
		errs = append(errs, fmt.Errorf("cache %s: expected at most %s", c.Cache, maxCache))
	}
	if c.Cache == 0 {
		c.Cache = defaultCache
	}
	if c.Probe == "" {
		c.Probe = "/"
	}
	if !strings.HasPrefix(c.Probe, "/") || strings.HasPrefix(c.Probe, "//") || strings.ContainsAny(c.Probe, " #\\") {
		errs = append(errs, fmt.Errorf("probe %s: expected a path as it is sent, such as /manager/html", c.Probe))
	}
	return &Source{name: name, config: c}, errors.Join(errs...)
}

// Name implements signin.Source.
func (s *Source) Name() string { return s.name }

// LoginTarget implements signin.Observer: the page at which the app asks.
func (s *Source) LoginTarget() string { return s.config.Probe }

// AsksInBox implements signin.Boxed.
func (*Source) AsksInBox() {}

// OwnPage tells whether people type into the gateway's own page.
func (s *Source) OwnPage() bool { return s.config.OwnPage }

// Who is the person of a name that the app has accepted.
func (s *Source) Who(username string) signin.Identity {
	return signin.Identity{Source: s.name, Subject: account.FoldUsername(username), Username: username, MayCreate: true, Typed: username}
}

// Cache is how long a program goes on in the session of its first call.
func (s *Source) Cache() time.Duration { return s.config.Cache }
