package caddymodule

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/approval"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
	devicepin "github.com/stepgate/stepgate/factors/device"
	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/factors/webauthn"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin/local"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// wire builds what one configuration makes of what is shared. It is the one
// place where rooms that may not know each other meet.
func (a *App) wire(s *shared) (*runtime, error) {
	r := &runtime{shared: s, log: a.log(), keys: a.keyRing(s)}
	r.local = &local.Source{
		Store: passwordStore{s.store}, Hasher: s.hasher,
		Report: func(_ context.Context, err error) { r.log.Error("hash a password anew", zap.Error(err)) },
	}
	r.people = &people.People{
		Store: store.ForPeople(s.store), Passwords: peoplePasswords{Hasher: s.hasher, Rules: password.Rules{}},
		Temporary: &temporarycode.Factor{Store: s.store, Keys: s.ring}, Tokens: token.Factor{}, Sources: a.peopleSources(),
		Region: a.numbers().Region, TextCountries: a.numbers().Countries, Now: time.Now,
		DeviceEnds: new(devicepin.Factor).Ends, Browsers: rememberedBrowsers{scorer{app: a}.life()},
	}
	r.people.Links, r.people.Notices = a.invitations(r), a.notices(r)
	r.people.Callers, r.people.TwoPerson = r.callers(a), a.TwoPerson
	var err error
	if r.phones, err = a.newPhones(r); err != nil {
		return nil, err
	}
	r.risk = scorer{a, r}.view
	r.factors, err = r.offer(a)
	return r, err
}

// offers are the factors that a gateway can offer: what lint says that people
// can have, and what sites ask for, are this one list.
var offers = []struct {
	factor policy.Factor
	// channel is the one that its provider is for; "" needs none.
	channel string
	make    func(*runtime, *App) (factors.Factor, error)
}{
	{policy.WebAuthn, "", func(r *runtime, a *App) (factors.Factor, error) {
		models, err := a.models()
		return &webauthn.Factor{Store: r.store, AllowedModels: models, Suspect: r.suspect}, err
	}},
	{policy.TOTP, "", func(r *runtime, _ *App) (factors.Factor, error) { return &totp.Factor{Steps: r.store}, nil }},
	{policy.SMS, delivery.SMS, func(r *runtime, a *App) (factors.Factor, error) { return oob.NewSMS(r.codes(a), a.numbers()), nil }},
	{policy.Email, delivery.Email, func(r *runtime, a *App) (factors.Factor, error) { return oob.NewEmail(r.codes(a)), nil }},
	{policy.Approval, authenticatorChannel, func(r *runtime, a *App) (factors.Factor, error) {
		return &approval.Factor{Store: r.store, Origin: a.Authenticator.Origin, Wake: r.phones.Wake}, nil
	}},
	{policy.BackupCode, "", func(r *runtime, _ *App) (factors.Factor, error) {
		return &backupcode.Factor{Store: r.store, Keys: r.ring}, nil
	}},
	{policy.TemporaryCode, "", func(r *runtime, _ *App) (factors.Factor, error) {
		return &temporarycode.Factor{Store: r.store, Keys: r.ring}, nil
	}},
	{policy.SecurityQuestions, "", func(r *runtime, a *App) (factors.Factor, error) {
		return knowledge.NewQuestions(r.ring, r.hasher, r.store, a.questionKeys(), a.questionText), nil
	}},
	{policy.PIN, "", func(r *runtime, _ *App) (factors.Factor, error) {
		return knowledge.NewPIN(r.ring, r.hasher, r.store), nil
	}},
	{policy.DevicePIN, "", func(r *runtime, _ *App) (factors.Factor, error) { return &devicepin.Factor{Store: r.store}, nil }},
}

// offered are the factors that people of a configuration can have.
func (a *App) offered() []policy.Factor {
	all := []policy.Factor{policy.Password} // the sources'
	for _, o := range offers {
		if a.has(o.channel) {
			all = append(all, o.factor)
		}
	}
	return all
}

// offer makes the factors of a configuration.
func (r *runtime) offer(a *App) (*factors.Registry, error) {
	var all []factors.Factor
	for _, o := range offers {
		if !a.has(o.channel) {
			continue
		}
		f, err := o.make(r, a)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return factors.NewRegistry(all...)
}

func (r *runtime) codes(a *App) oob.Options {
	return oob.Options{
		Codes: r.store, Outbox: r.outbox, Budget: a.newSendBudget(r), Keys: r.ring, Lifetime: time.Duration(a.Codes.Lifetime),
	}
}

// questionText is a security question as the pages show it. The sites of a
// server show the same.
func (a *App) questionText(language, key string) string {
	for _, site := range a.sites {
		if site.pages != nil {
			return site.pages.TextIn(language, key)
		}
	}
	return key
}

// suspect writes down that a key that is synchronised between devices counted
// backwards: by itself no reason to refuse it.
func (r *runtime) suspect(ctx context.Context, c account.Credential) {
	r.recorder.Record(ctx, audit.Event{
		At: time.Now().UTC(), Name: audit.ChallengePassed, Account: string(c.Account), Factor: c.Factor, Credential: string(c.ID),
		Reason: "counter-went-back",
	})
}

// passwordStore adds to the store the verb that the local source needs.
type passwordStore struct{ store.Store }

// ReplacePasswordHash implements local.Store.
func (s passwordStore) ReplacePasswordHash(ctx context.Context, id account.ID, was, next string) error {
	return s.Update(ctx, func(tx store.Tx) error {
		now, err := tx.PasswordHash(ctx, id)
		if err != nil {
			return fmt.Errorf("read password hash: %w", err)
		}
		if now != was {
			return nil
		}
		return tx.SetPasswordHash(ctx, id, next)
	})
}
