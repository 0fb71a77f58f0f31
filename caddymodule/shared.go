package caddymodule

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/weld"
)

// pool keeps what outlives a reload.
var pool = caddy.NewUsagePool()

// shared is what outlives a reload, one for each store: the store, the keys,
// the sessions in memory, and what counts and bounds over all of them. What
// of it follows the configuration in force, take sets.
type shared struct {
	storeName string
	store     store.Store
	ring      *keys.Ring
	sessions  *session.Manager
	turns     *weld.Turns
	recorder  *audit.Recorder
	ledger    *throttle.Ledger
	plan      *throttle.Plan
	outbox    *delivery.Outbox
	// uses is when tokens for programs were used, not yet written.
	uses *token.Uses
	// hasher bounds how many passwords are hashed at once.
	hasher *password.Hasher
	// log is that of the configuration in force.
	log atomic.Pointer[zap.Logger]

	end     context.CancelFunc
	life    context.Context // ends with end
	running sync.WaitGroup  // what runs until then
	// rotated asks for what lasts to be sealed with the present key.
	rotated chan struct{}
	// finish is done after the last write, before the store is closed.
	finish func(context.Context) error
}

// hashCost is what a password costs to hash; tests that are about something else
// make it cheap.
var hashCost = password.DefaultCost

// newShared opens the store and what stands over it.
func newShared(ctx context.Context, a *App, mayCreate bool) (*shared, error) {
	hasher, err := password.NewHasher(password.Options{Cost: hashCost})
	if err != nil {
		return nil, err
	}
	o, err := a.openStore(ctx, mayCreate)
	if err != nil {
		return nil, err
	}
	ring, db, seen := o.ring, o.db, o.seen
	s := &shared{storeName: a.Store.name(), store: db, ring: ring, turns: new(weld.Turns), hasher: hasher, uses: new(token.Uses), rotated: make(chan struct{}, 1)}
	s.log.Store(a.log())
	s.sessions = session.NewManager(db, ring.CookieKeys("session"), a.limits())
	s.sessions.Log = func(message string, err error) { s.log.Load().Error(message, zap.Error(err)) }
	if err := s.sessions.Run(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.ledger = &throttle.Ledger{Store: db, Now: time.Now}
	s.plan = throttle.DefaultPlan(ring.LastingMAC)
	s.recorder = audit.NewRecorder(audit.Options{
		Store: db, Now: time.Now, Lost: func(err error) { s.log.Load().Error("audit events are lost", zap.Error(err)) },
	})
	s.outbox = s.newOutbox()
	s.life, s.end = context.WithCancel(context.Background())
	s.running.Go(func() {
		s.each(10*time.Minute, "delete what is over", func(ctx context.Context) error { return db.Purge(ctx, time.Now()) })
	})
	s.running.Go(func() { s.keepMark(seen, db) })
	s.running.Go(func() {
		s.each(10*time.Second, "write when tokens were used", func(ctx context.Context) error { return s.uses.Write(ctx, db.TouchCredentials) })
	})
	s.running.Go(func() {
		s.each(10*time.Minute, "note which key is in use", func(ctx context.Context) error {
			return db.SaveKeys(ctx, nil, ring.Primary(), time.Now())
		})
	})
	s.finish = func(ctx context.Context) error { return seen.move(ctx, db) }
	return s, nil
}

// serve does what a gateway does and a command does not, until the end: it
// hands over messages that wait, and seals what lasts with the present key.
func (s *shared) serve() {
	s.running.Go(func() { s.outbox.Run(s.life) })
	s.running.Go(func() { s.resealEvery(10 * time.Minute) })
}

// resealEvery goes through what lasts at the start, where there is more than one
// key, and after each rotation; where that failed, again after a while.
func (s *shared) resealEvery(again time.Duration) {
	var retry <-chan time.Time
	if len(s.ring.List()) > 1 {
		s.askReseal()
	}
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.rotated:
		case <-retry:
		}
		retry = nil
		if err := s.store.Reseal(s.life); err != nil && s.life.Err() == nil {
			s.log.Load().Error("seal again with the present key", zap.Error(err))
			retry = time.After(again)
		}
	}
}

func (s *shared) askReseal() {
	select {
	case s.rotated <- struct{}{}:
	default: // asked for already
	}
}

// take makes a configuration the one in force. undo puts back what was before,
// for a configuration that is refused after all; it does nothing when another
// has taken over since.
func (s *shared) take(a *App) (undo func()) {
	mine := a.log()
	before := s.log.Swap(mine)
	a.introduceSenders()
	undoLimits, unsend := s.sessions.UseLimits(a.limits()), s.outbox.Use(a.senders)
	return func() {
		s.log.CompareAndSwap(mine, before)
		undoLimits()
		unsend()
	}
}

// Destruct implements caddy.Destructor: the last configuration is gone.
func (s *shared) Destruct() error {
	s.end()
	s.sessions.Close()
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.uses.Write(ctx, s.store.TouchCredentials), s.outbox.Close(ctx), s.recorder.Close(ctx), s.finish(ctx), s.store.Close())
}

// each does something now and then until the end. what is for the log.
func (s *shared) each(span time.Duration, what string, do func(context.Context) error) {
	tick := time.NewTicker(span)
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
			if err := do(s.life); err != nil && s.life.Err() == nil {
				s.log.Load().Error(what, zap.Error(err))
			}
		}
	}
}
