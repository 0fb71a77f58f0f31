package session

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// shelf is a store of sessions for tests of the manager: what it promises
// beyond the contract is that it counts and that it can be broken.
type shelf struct {
	mu          sync.Mutex
	rows        map[Hash]Session
	owners      map[account.ID]Owner
	feed        []Change
	broken      error
	reads       int
	touches     int // sessions
	touchWrites int
	ended       map[Hash]Remains
}

func newShelf() *shelf {
	return &shelf{rows: map[Hash]Session{}, ended: map[Hash]Remains{}, owners: map[account.ID]Owner{"joe": {Account: account.Account{ID: "joe", Username: "joe", Organisation: "default"}}}}
}

func (s *shelf) with(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	return do()
}

func (s *shelf) tell(kind ChangeKind, key string) {
	s.feed = append(s.feed, Change{Seq: int64(len(s.feed) + 1), Kind: kind, Key: key})
}

func (s *shelf) InsertSession(_ context.Context, row Session) error {
	return s.with(func() error { s.rows[row.Hash] = row; return nil })
}

func (s *shelf) SessionByHash(_ context.Context, h Hash, now time.Time) (row Session, owner Owner, err error) {
	err = s.with(func() error {
		s.reads++
		var ok bool
		if row, ok = s.rows[h]; !ok || !now.Before(row.EndsAt) {
			return ErrNotFound
		}
		owner = s.owners[row.Account]
		return nil
	})
	return row, owner, err
}

func (s *shelf) RaiseSession(_ context.Context, r Raising) (risen *Risen, err error) {
	err = s.with(func() error {
		for h, old := range s.rows {
			if old.ID != r.ID || !old.SupersededAt.IsZero() {
				continue
			}
			row := old
			row.Hash, row.Proofs = r.Next, slices.Clone(old.Proofs)
			if err := r.Change(&row); err != nil {
				return err
			}
			old.SupersededAt, old.EndsAt = r.Now, r.OverlapEnds
			s.rows[h], s.rows[r.Next] = old, row
			s.tell(SessionChanged, string(r.ID))
			risen = &Risen{row, s.owners[row.Account]}
			return nil
		}
		return ErrNotFound
	})
	return risen, err
}

func (s *shelf) TouchSessions(_ context.Context, seen map[ID]time.Time) error {
	return s.with(func() error {
		s.touches += len(seen)
		s.touchWrites++
		for h, row := range s.rows {
			if at, ok := seen[row.ID]; ok && row.SupersededAt.IsZero() {
				row.SeenAt = at
				s.rows[h] = row
			}
		}
		return nil
	})
}

func (s *shelf) Listen(context.Context, func()) error { return ErrCannotListen }

func (s *shelf) RescoreSession(_ context.Context, id ID, risk string) error {
	return s.with(func() error {
		for h, row := range s.rows {
			if row.ID == id {
				row.Risk = risk
				s.rows[h] = row
			}
		}
		s.tell(SessionChanged, string(id))
		return nil
	})
}

func (s *shelf) EndSession(_ context.Context, id ID) error {
	return s.with(func() error {
		for h, row := range s.rows {
			if row.ID == id {
				s.ended[h] = Remains{row.Account, row.Site, row.SeenAt, row.EndsAt}
				delete(s.rows, h)
			}
		}
		s.tell(SessionChanged, string(id))
		return nil
	})
}

func (s *shelf) EndTied(ctx context.Context, id ID) ([]ID, error) {
	return []ID{id}, s.EndSession(ctx, id)
}

func (s *shelf) EndIssuerSessions(context.Context, string, string) ([]ID, error) { return nil, nil }

func (s *shelf) SessionNote(context.Context, ID) ([]byte, error) { return nil, ErrNotFound }

func (s *shelf) SessionOwners(context.Context, string, time.Time) ([]account.ID, error) {
	return nil, nil
}

func (s *shelf) Remains(_ context.Context, h Hash) (left Remains, err error) {
	err = s.with(func() error {
		if row, ok := s.rows[h]; ok {
			left = Remains{row.Account, row.Site, row.SeenAt, row.EndsAt}
			return nil
		}
		var ok bool
		if left, ok = s.ended[h]; !ok {
			return ErrNotFound
		}
		return nil
	})
	return left, err
}

func (s *shelf) EndAccountSessions(context.Context, account.ID, ID) error { return nil }

func (s *shelf) SessionsOf(_ context.Context, owner account.ID, now time.Time) (rows []Session, err error) {
	err = s.with(func() error {
		for _, row := range s.rows {
			if row.Account == owner && row.SupersededAt.IsZero() && now.Before(row.EndsAt) {
				rows = append(rows, row)
			}
		}
		return nil
	})
	return rows, err
}

func (s *shelf) Changes(_ context.Context, seq int64) (changes []Change, last int64, err error) {
	err = s.with(func() error {
		last = int64(len(s.feed))
		if seq >= 0 {
			changes = slices.Clone(s.feed[seq:])
		}
		return nil
	})
	return changes, last, err
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var place = Place{Origin: "https://portal.example.gov", Cookie: "__Host-stepgate", Secure: true}

type fixture struct {
	*Manager
	t     *testing.T
	shelf *shelf
	clock *clock
}

// newFixture makes a manager that follows its feed only when poll is called.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	key := make([]byte, 64)
	rand.Read(key)
	f := &fixture{t: t, shelf: newShelf(), clock: &clock{at: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}}
	f.Manager = NewManager(f.shelf, [][]byte{key[:32], key[32:]}, Limits{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, InMemory: 100_000, Grace: 10 * time.Second})
	f.Now = f.clock.now
	f.hear()
	return f
}

// hear polls the feed once, as the manager does by itself four times a second.
func (f *fixture) hear() {
	f.t.Helper()
	if err := f.poll(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// later lets time pass with the feed heard and what was seen written down.
func (f *fixture) later(d time.Duration) {
	const step = 5 * time.Second
	for ; d > 0; d -= step {
		f.clock.move(min(d, step))
		f.hear()
		for len(f.touches) > 0 {
			e := <-f.touches
			f.shelf.TouchSessions(f.t.Context(), map[ID]time.Time{e.Session.ID: e.SeenAt()})
		}
	}
}

// begin signs joe in and returns the headers that his browser sends.
func (f *fixture) begin() (*Entry, http.Header) {
	f.t.Helper()
	w := httptest.NewRecorder()
	e, err := f.Begin(f.t.Context(), w, Beginning{Place: place, Owner: "joe", Source: "local", Proofs: []policy.Proof{{Factor: policy.Password, At: f.clock.now()}}})
	if err != nil {
		f.t.Fatal(err)
	}
	return e, sent(w)
}

func sent(w *httptest.ResponseRecorder) http.Header {
	h := http.Header{}
	for _, c := range w.Result().Cookies() {
		h.Set("Cookie", "app=1; "+c.Name+"="+c.Value)
	}
	return h
}

func (f *fixture) find(h http.Header) *Entry {
	f.t.Helper()
	e, err := f.Find(f.t.Context(), h, place)
	if err != nil {
		f.t.Fatal(err)
	}
	return e
}
