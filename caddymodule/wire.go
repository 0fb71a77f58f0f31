package caddymodule

import (
	"context"
	"errors"
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
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/local"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
)

// wire builds what stands over the store. It is the one place where rooms
// that may not know each other meet.
func (r *runtime) wire(a *App) error {
	log := a.log()
	hasher, err := password.NewHasher(password.Options{})
	if err != nil {
		return err
	}
	temporary := &temporarycode.Factor{Store: r.store, Keys: r.ring}
	r.ledger = &throttle.Ledger{Store: r.store, Now: time.Now}
	r.plan = throttle.DefaultPlan(r.ring.LastingMAC)
	r.recorder = audit.NewRecorder(audit.Options{
		Store: r.store, Now: time.Now, Lost: func(err error) { log.Error("audit events are lost", zap.Error(err)) },
	})
	r.outbox = r.newOutbox(log)
	r.local = &local.Source{
		Store: passwordStore{r.store}, Hasher: hasher,
		Report: func(_ context.Context, err error) { log.Error("hash a password anew", zap.Error(err)) },
	}
	r.people = &people.People{
		Store: peopleStore{r.store}, Passwords: peoplePasswords{Hasher: hasher, Rules: password.Rules{}}, Temporary: temporary,
		Region: a.numbers().Region, TextCountries: a.numbers().Countries, Now: time.Now,
	}
	return nil
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
	if r.outbox.Offers(delivery.SMS) {
		offered = append(offered, oob.NewSMS(codes, a.numbers()))
	}
	if r.outbox.Offers(delivery.Email) {
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

// admit finds the account of who a sign-in source says it is.
func (r *runtime) admit(ctx context.Context, who signin.Identity) (account.Account, error) {
	if who.Source == account.LocalSource {
		return r.store.Account(ctx, account.ID(who.Subject))
	}
	if who.Subject == "" {
		return r.store.AccountByUsername(ctx, who.Source, account.FoldUsername(who.Username))
	}
	found, err := r.store.AccountBySubject(ctx, who.Source, who.Subject)
	if errors.Is(err, account.ErrNotFound) && who.MayCreate {
		return r.arrive(ctx, who)
	}
	return found, err
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

// close ends what wire began.
func (r *runtime) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(r.outbox.Close(ctx), r.recorder.Close(ctx), r.store.Close())
}
