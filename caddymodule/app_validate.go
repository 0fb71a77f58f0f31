package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/policy"
)

// checkAsRead is Validate where a Caddyfile is read: a finding names the line of
// its option, and comes without the names of modules. What a placeholder may
// still mend is left to Validate.
func (a *App) checkAsRead(lines map[string]policy.Position) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	read := new(App)
	if err := json.Unmarshal(text, read); err != nil {
		return err
	}
	if read.Store != nil && strings.Contains(read.Store.DSN, "{") {
		read.Store = nil
	}
	read.setDefaults()
	var errs []error
	for _, finding := range read.findings() {
		where := a.Source
		option, _, _ := strings.Cut(finding.Error(), " ")
		if at, known := lines[strings.TrimSuffix(option, ":")]; known {
			where = at.String()
		}
		errs = append(errs, fmt.Errorf("%s: %w", where, finding))
	}
	return errors.Join(errs...)
}

// Validate only reads. It reports all findings joined.
func (a *App) Validate() error {
	var errs []error
	for _, finding := range a.findings() {
		errs = append(errs, fmt.Errorf("%s%w", a.where(), finding))
	}
	return errors.Join(errs...)
}

// findings are all that is wrong with the app. Each begins with its option.
func (a *App) findings() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if driver := a.Store.driver(); driver == nil {
		bad("store %s: no such store; expected %s", a.Store.Driver, strings.Join(driverNames(), " or "))
	} else if err := driver.check(a.Store); err != nil {
		bad("%w", err)
	}
	for name, d := range map[string]caddy.Duration{
		"session idle": a.Session.Idle, "session absolute": a.Session.Absolute, "store_grace": a.StoreGrace, "codes lifetime": a.Codes.Lifetime,
	} {
		if d < 0 {
			bad("%s: a duration must be longer than nothing", name)
		}
	}
	if a.deviceLife() < 0 {
		bad("devices lifetime: a duration must be longer than nothing")
	}
	if err := a.checkQuestions(); err != nil {
		bad("%w", err)
	}
	if err := a.checkRisk(); err != nil {
		bad("%w", err)
	}
	if a.KeyEnv != "" && len(a.KeyCommand) > 0 {
		bad("key_file: the keys come from one place, not from `env %s` and from a command", a.KeyEnv)
	}
	if a.Session.InMemory < 0 {
		bad("session in_memory: expected a number of sessions")
	}
	if a.Session.Idle > a.Session.Absolute {
		bad("session: idle (%s) is longer than absolute (%s)", time.Duration(a.Session.Idle), time.Duration(a.Session.Absolute))
	}
	if time.Duration(a.Codes.Lifetime) > 15*time.Minute {
		bad("codes lifetime: %s is longer than the 15m that codes may live", time.Duration(a.Codes.Lifetime))
	}
	if _, _, err := a.Codes.price(); err != nil {
		bad("codes sms_price: %w", err)
	}
	if err := a.checkAuthenticator(); err != nil {
		bad("%w", err)
	}
	if err := a.Audit.check(); err != nil {
		bad("audit: %w", err)
	}
	if _, err := a.models(); err != nil {
		bad("%w", err)
	}
	if err := a.numbers().Check(); err != nil {
		bad("%w", err)
	}
	for _, cidr := range a.InternalNetworks {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			bad("internal_networks %s: expected an address range such as 10.0.0.0/8", cidr)
		}
	}
	return errs
}
