package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/authenticator"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin"
)

// active is the runtime of the configuration in force, for the admin
// endpoint: a handler of a configuration that was refused must not answer
// from it, nor fall silent.
var active atomic.Pointer[runtime]

// runtime is what one configuration makes of what is shared: nothing in it is
// the next one's.
type runtime struct {
	*shared
	people *people.People
	// factors are those that this configuration offers.
	factors *factors.Registry
	local   signin.PasswordChecker
	log     *zap.Logger
	keys    keyRing
	// phones answers the authenticator app; nil without one.
	phones *authenticator.Server
	// risk scores a visit for a command.
	risk operation.Risk
}

// place is where the commands of whoever runs this server are done.
func (r *runtime) place() operation.Place {
	return operation.Place{Actor: people.Operator(), People: r.people, Store: r.store, Recorder: r.recorder, Ring: r.ring, Keys: r.keys, Risk: r.risk}
}

// open gives the app its runtime, over what is shared, from the pool or new.
// Sites call it at their first request if they start before the app does. While
// the app waits for its store no request does.
func (a *App) open(ctx context.Context) (*runtime, error) {
	if err := a.awaiting.err.Load(); err != nil {
		return nil, *err
	}
	return a.openNow(ctx)
}

// openTimeout bounds one try to open the store.
const openTimeout = 10 * time.Second

func (a *App) openNow(ctx context.Context) (*runtime, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runtime != nil {
		return a.runtime, nil
	}
	if a.stopped {
		return nil, errors.New("stepgate: this configuration is no longer in force")
	}
	a.key = poolKey{a.Store.Driver, a.Store.Path, a.Store.DSN, a.keySource().String()}
	value, before, err := pool.LoadOrNew(a.key, func() (caddy.Destructor, error) {
		s, err := newShared(ctx, a, true)
		if err == nil {
			s.serve()
		}
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("stepgate: %w", err)
	}
	s := value.(*shared)
	if before {
		err = a.keyRing(s).reload(ctx)
	}
	var r *runtime
	if err == nil {
		r, err = a.wire(s)
	}
	if err != nil {
		_, release := pool.Delete(a.key)
		return nil, errors.Join(fmt.Errorf("stepgate: %w", err), release)
	}
	a.undo, a.runtime = s.take(a), r
	return a.runtime, nil
}

// openPlace opens the store for a command, outside of a running gateway.
func (a *App) openPlace(ctx context.Context, mayCreate bool) (operation.Place, func() error, error) {
	s, err := newShared(ctx, a, mayCreate)
	if err != nil {
		return operation.Place{}, nil, err
	}
	r, err := a.wire(s)
	if err != nil {
		return operation.Place{}, nil, errors.Join(err, s.Destruct())
	}
	return r.place(), s.Destruct, nil
}
