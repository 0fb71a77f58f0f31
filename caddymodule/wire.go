package caddymodule

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/factors/webauthn"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin/local"
	"github.com/stepgate/stepgate/internal/store"
)

// wire builds what one configuration makes of what is shared. It is the one
// place where rooms that may not know each other meet.
func (a *App) wire(s *shared) (*runtime, error) {
	r := &runtime{shared: s, log: a.log()}
	r.local = &local.Source{
		Store: passwordStore{s.store}, Hasher: s.hasher,
		Report: func(_ context.Context, err error) { r.log.Error("hash a password anew", zap.Error(err)) },
	}
	r.people = &people.People{
		Store: peopleStore{s.store}, Passwords: peoplePasswords{Hasher: s.hasher, Rules: password.Rules{}},
		Temporary: &temporarycode.Factor{Store: s.store, Keys: s.ring}, Sources: a.peopleSources(),
		Region: a.numbers().Region, TextCountries: a.numbers().Countries, Now: time.Now,
	}
	var err error
	r.factors, err = r.offer(a)
	return r, err
}

// offer lists the factors of a configuration. One whose provider is not
// configured is not offered.
func (r *runtime) offer(a *App) (*factors.Registry, error) {
	models, err := a.models()
	if err != nil {
		return nil, err
	}
	offered := []factors.Factor{
		&webauthn.Factor{Store: r.store, AllowedModels: models, Suspect: r.suspect},
		&totp.Factor{Steps: r.store},
		&backupcode.Factor{Store: r.store, Keys: r.ring},
		&temporarycode.Factor{Store: r.store, Keys: r.ring},
	}
	codes := oob.Options{
		Codes: r.store, Outbox: r.outbox, Budget: a.newSendBudget(r), Keys: r.ring, Lifetime: time.Duration(a.Codes.Lifetime),
	}
	if a.senders[delivery.SMS] != nil {
		offered = append(offered, oob.NewSMS(codes, a.numbers()))
	}
	if a.senders[delivery.Email] != nil {
		offered = append(offered, oob.NewEmail(codes))
	}
	return factors.NewRegistry(offered...)
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
