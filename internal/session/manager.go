package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/securecookie"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

const (
	// Overlap is how long the old identifier of a raised session still works,
	// at its old levels, for requests that were on their way.
	Overlap = 10 * time.Second
	// touchEvery is how exact SeenAt is in the store, or a quarter of a
	// shorter idle limit.
	touchEvery = time.Minute
	pollEvery  = 250 * time.Millisecond
	// pollTimeout bounds one look at the feed, so that a store that hangs is
	// noticed well within the grace.
	pollTimeout = 3 * time.Second
	// tidyEvery is how often what nobody uses any more is let go of: twice in the
	// time that an identity assertion is good for.
	tidyEvery = 15 * time.Second
	// listenAgain is the wait after the store has stopped telling of changes.
	listenAgain = time.Second
	// touchRows is how many sessions are touched in one write, and touchWait
	// how long it waits for them.
	touchRows = 500
	touchWait = time.Second
)

// DefaultInMemory is Limits.InMemory where that is 0: some 170 MB of sessions, and half as much again while all are in use.
const DefaultInMemory = 100_000

// Limits are the server's own ends of a session (SP 800-63B-4 §5.2).
type Limits struct {
	Idle     time.Duration
	Absolute time.Duration
	// PublicIdle is Idle on a public device, if it is shorter; 0: as Idle.
	PublicIdle time.Duration
	// InMemory bounds how many sessions this node has in memory; the others are
	// one read of the store each time.
	InMemory int
	// Grace is how long this node trusts the sessions it knows after it last
	// heard from the store (contract, section 10).
	Grace time.Duration
}

// Manager finds, begins, raises and ends sessions. One serves all sites of a
// store. It is safe for concurrent use once Run has been called.
type Manager struct {
	Store Store
	Now   func() time.Time
	// Log is told about a store that does not answer and one that is back.
	Log func(message string, err error)

	memory  *memory
	limits  atomic.Pointer[Limits]
	codecs  atomic.Pointer[[]securecookie.Codec]
	heardAt atomic.Int64 // unix nanoseconds of the last answer of the feed
	failing atomic.Bool  // the feed's last answer was an error
	seq     atomic.Int64
	touches chan *Entry
	// touchWait is the constant, but in tests.
	touchWait time.Duration
	heard     chan struct{} // the feed has something new
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// NewManager makes a manager that trusts nothing until Run.
func NewManager(store Store, cookieKeys [][]byte, limits Limits) *Manager {
	m := &Manager{Store: store, Now: time.Now, Log: func(string, error) {}, memory: newMemory(), touches: make(chan *Entry, 4*touchRows), touchWait: touchWait, heard: make(chan struct{}, 1)}
	m.UseLimits(limits)
	m.SetKeys(cookieKeys)
	return m
}

// UseLimits changes the limits, for a reload. undo puts those before back,
// unless others have been put into place since.
func (m *Manager) UseLimits(l Limits) (undo func()) {
	before := m.limits.Swap(&l)
	m.memory.limit(l.InMemory)
	return func() {
		if m.limits.CompareAndSwap(&l, before) && before != nil {
			m.memory.limit(before.InMemory)
		}
	}
}

// SetKeys changes the cookie keys, for a rotation; the newest pair first.
func (m *Manager) SetKeys(pairs [][]byte) {
	c := codecs(pairs)
	m.codecs.Store(&c)
}

// Find returns the session that a request carries, or nil for nobody. An
// error (ErrStore) means that it cannot be known: only public paths go on.
// For a session seen before it neither reads the store nor allocates.
func (m *Manager) Find(ctx context.Context, h http.Header, p Place) (*Entry, error) {
	now := m.Now()
	e, err := m.peek(ctx, h, p, now)
	if e != nil {
		m.seen(e, now)
	}
	return e, err
}

// Peek is Find for requests that must not keep a session from idling out.
func (m *Manager) Peek(ctx context.Context, h http.Header, p Place) (*Entry, error) {
	return m.peek(ctx, h, p, m.Now())
}

func (m *Manager) peek(ctx context.Context, h http.Header, p Place, now time.Time) (*Entry, error) {
	value := cookieValue(h, p.Cookie)
	if value == "" {
		if m.failing.Load() {
			return nil, ErrStore // who could be anybody cannot sign in now
		}
		return nil, nil
	}
	if m.silent(now) {
		return nil, ErrStore
	}
	e := m.memory.load(value)
	if e == nil || m.idle(e, now) {
		var err error
		if e, err = m.read(ctx, value, p, now); e == nil {
			return nil, err
		}
	}
	if e.Session.Site != p.Origin || !now.Before(e.Session.EndsAt) {
		return nil, nil
	}
	if admitted, err := p.Admits(ctx, e, e.Session.Source); !admitted {
		return nil, err
	}
	return e, nil
}

func (m *Manager) idle(e *Entry, now time.Time) bool {
	return now.UnixNano()-e.seen.Load() > int64(m.limits.Load().idle(&e.Session))
}

// publicDevice is the Device of a session whose browser others use as well.
const publicDevice = "public"

func (l *Limits) idle(s *Session) time.Duration {
	if s.Device == publicDevice && l.PublicIdle > 0 {
		return min(l.Idle, l.PublicIdle)
	}
	return l.Idle
}

func (m *Manager) touchEvery() time.Duration {
	idle := m.limits.Load().Idle
	if public := m.limits.Load().PublicIdle; public > 0 {
		idle = min(idle, public)
	}
	return min(touchEvery, idle/4)
}

func (m *Manager) seen(e *Entry, now time.Time) {
	e.seen.Store(now.UnixNano())
	if last := e.touched.Load(); now.UnixNano()-last > int64(m.touchEvery()) && e.touched.CompareAndSwap(last, now.UnixNano()) {
		select {
		case m.touches <- e:
		default: // the next minute brings another
		}
	}
}

// read asks the store for a session that memory does not have, or has as
// idle: another node may have seen it since.
func (m *Manager) read(ctx context.Context, value string, p Place, now time.Time) (*Entry, error) {
	id, ok := m.unseal(p.Cookie, value)
	if !ok {
		return nil, nil
	}
	before := m.seq.Load()
	s, owner, err := m.Store.SessionByHash(ctx, id.Hash(), now)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	case owner.Account.Suspended():
		return nil, nil
	case now.Sub(s.SeenAt) > m.limits.Load().idle(&s) && s.SupersededAt.IsZero():
		if err := m.forgetAll([]ID{s.ID}, m.Store.EndSession(ctx, s.ID)); err != nil {
			return nil, fmt.Errorf("%w: idle: %w", ErrStore, err)
		}
		return nil, nil
	}
	return m.keep(value, s, owner, before), nil
}

// keep puts a session into memory. before is the feed's position when the
// session was read: if the feed has moved since, what was read may be old
// already, and the entry serves this request only.
func (m *Manager) keep(value string, s Session, owner Owner, before int64) *Entry {
	e := &Entry{Session: s, Owner: owner, cookie: value}
	e.seen.Store(s.SeenAt.UnixNano())
	e.touched.Store(s.SeenAt.UnixNano())
	m.memory.store(e)
	if m.seq.Load() != before {
		m.memory.forget(e)
	}
	return e
}

// Beginning is what is known when a session begins.
type Beginning struct {
	Place     Place
	Owner     account.ID
	Source    string
	Proofs    []policy.Proof
	Device    string
	DeviceID  string
	Risk      string
	Address   string
	UserAgent string
	Password  account.PasswordMark
	Tie       Tie
}

// Begin makes a session and gives its cookie to the browser. A session that
// the browser had before is not touched: the caller ends it.
func (m *Manager) Begin(ctx context.Context, w http.ResponseWriter, b Beginning) (*Entry, error) {
	now := m.Now().UTC()
	id := NewIdentifier()
	s := Session{
		ID: ID(rand.Text()), Hash: id.Hash(), Account: b.Owner, Site: b.Place.Origin, Source: b.Source, Proofs: b.Proofs,
		Device: b.Device, DeviceID: b.DeviceID, Risk: b.Risk, CreatedAt: now, SeenAt: now,
		EndsAt: now.Add(m.limits.Load().Absolute), Address: b.Address, UserAgent: b.UserAgent,
		Password: b.Password, Tie: b.Tie,
	}
	if err := m.Store.InsertSession(ctx, s); err != nil {
		return nil, fmt.Errorf("keep the session: %w", err)
	}
	before := m.seq.Load()
	s, owner, err := m.Store.SessionByHash(ctx, s.Hash, m.Now())
	if err != nil {
		return nil, fmt.Errorf("read the session back: %w", err)
	}
	return m.give(w, b.Place, id, &Risen{s, owner}, before)
}

// Raising is the change of a session under a new identifier, as the store does
// it: RaiseSession, or a verb that does more in the same write.
type Raising struct {
	ID      ID
	Account account.ID // whose the session is
	Next    Hash
	Now     time.Time
	// OverlapEnds is when the identifier before ends, for requests in flight.
	OverlapEnds time.Time
	Change      func(*Session) error
}

// Risen is a session as the write that has raised it leaves it, with its owner:
// what SessionByHash would give then.
type Risen struct {
	Session Session
	Owner   Owner
}

// Raise changes a session under a new identifier and gives that to the
// browser (contract, section 7; ASVS 5.0 7.2.4: a new one at every rise, so
// that one which was planted before stays as weak as it was). It refuses a superseded one with ErrNotFound:
// the browser has been given a newer identifier already.
func (m *Manager) Raise(ctx context.Context, w http.ResponseWriter, p Place, e *Entry, change func(*Session) error) (*Entry, error) {
	return m.RaiseBy(ctx, w, p, e, func(r Raising) (*Risen, error) {
		r.Change = change
		return m.Store.RaiseSession(ctx, r)
	})
}

// RaiseBy is Raise by the caller's own write, which says the change as well.
func (m *Manager) RaiseBy(ctx context.Context, w http.ResponseWriter, p Place, e *Entry, write func(Raising) (*Risen, error)) (*Entry, error) {
	if !e.Session.SupersededAt.IsZero() {
		return nil, ErrNotFound
	}
	now, before := m.Now().UTC(), m.seq.Load()
	id := NewIdentifier()
	risen, err := write(Raising{ID: e.Session.ID, Account: e.Session.Account, Next: id.Hash(), Now: now, OverlapEnds: now.Add(Overlap)})
	if err != nil {
		return nil, fmt.Errorf("raise the session: %w", err)
	}
	m.memory.apply(Change{Kind: SessionChanged, Key: string(e.Session.ID)})
	return m.give(w, p, id, risen, before)
}

// Again gives the browser that holds an older identifier of a session a new
// one, at the session's present levels: for the caller who has found out that
// it is the browser whose own answer raised the session, and that did not hear
// of it. ErrNotFound says that the session has ended.
func (m *Manager) Again(ctx context.Context, w http.ResponseWriter, p Place, e *Entry) (*Entry, error) {
	current := &Entry{Session: e.Session, Owner: e.Owner}
	current.Session.SupersededAt = time.Time{}
	return m.Raise(ctx, w, p, current, func(*Session) error { return nil })
}

// give gives the browser the identifier of a session that the store holds so,
// or held so when the feed was at before or later.
func (m *Manager) give(w http.ResponseWriter, p Place, id Identifier, held *Risen, before int64) (*Entry, error) {
	value, err := m.seal(p.Cookie, id)
	if err != nil {
		return nil, fmt.Errorf("seal the session cookie: %w", err)
	}
	p.SetCookie(w, value)
	return m.keep(value, held.Session, held.Owner, before), nil
}

// Rescore gives a session another risk, under the identifier that it has, here
// at once and on every node within a second.
func (m *Manager) Rescore(ctx context.Context, e *Entry, risk string) error {
	if err := m.Store.RescoreSession(ctx, e.Session.ID, risk); err != nil {
		return fmt.Errorf("keep the risk of a session: %w", err)
	}
	m.memory.apply(Change{Kind: SessionChanged, Key: string(e.Session.ID)})
	return nil
}

// Current returns the session that an entry belongs to as it is now, under
// whichever identifier. ErrNotFound says that it has ended, or that the
// account is suspended; ErrStore that it cannot be known any more.
func (m *Manager) Current(ctx context.Context, e *Entry) (Session, error) {
	now := m.Now()
	if m.silent(now) {
		return Session{}, ErrStore
	}
	if known := m.memory.current(e.Session.ID); known != nil && now.Before(known.Session.EndsAt) && !m.idle(known, now) {
		return known.Session, nil
	}
	all, err := m.Store.SessionsOf(ctx, e.Session.Account, now)
	if err != nil {
		return e.Session, nil // trusted until the store has been silent for too long
	}
	for _, s := range all {
		if s.ID == e.Session.ID && now.Sub(s.SeenAt) <= m.limits.Load().idle(&s) {
			return s, nil
		}
	}
	return Session{}, ErrNotFound
}

// Numbers are those of the sessions in this process's memory.
func (m *Manager) Numbers() Numbers { return m.memory.numbers() }

// Apply forgets what a change made in this process has made old, without
// waiting for the feed.
func (m *Manager) Apply(c Change) { m.memory.apply(c) }

// ExpiresIn is how long the session lives if nothing more is heard of it.
func (m *Manager) ExpiresIn(e *Entry) time.Duration {
	now := m.Now()
	idle := e.SeenAt().Add(m.limits.Load().idle(&e.Session)).Sub(now)
	return min(idle, e.Session.EndsAt.Sub(now))
}
