package session

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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

func TestFindOfAKnownSessionReadsNoStoreAndAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	before := f.shelf.reads
	allocs := testing.AllocsPerRun(100, func() {
		if f.find(h) == nil {
			t.Fatal("not found")
		}
	})
	if f.shelf.reads != before || allocs != 0 {
		t.Errorf("%d reads, %v allocations", f.shelf.reads-before, allocs)
	}
}

func TestCookieHasTheAttributesOfItsPrefix(t *testing.T) {
	f := newFixture(t)
	w := httptest.NewRecorder()
	if _, err := f.Begin(t.Context(), w, Beginning{Place: place, Owner: "joe"}); err != nil {
		t.Fatal(err)
	}
	line := w.Header().Get("Set-Cookie")
	for _, want := range []string{"__Host-stepgate=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
	for _, unwanted := range []string{"Domain", "Expires", "Max-Age"} {
		if strings.Contains(line, unwanted) {
			t.Errorf("%s has %s", line, unwanted)
		}
	}
	for h := range f.shelf.rows {
		if strings.Contains(line, string(h[:])) {
			t.Error("the store keeps what the browser holds")
		}
	}
}

func TestAnotherSitesOrKeysCookieIsNobodys(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	other := place
	other.Origin = "https://other.example.gov"
	if e, err := f.Find(t.Context(), h, other); e != nil || err != nil {
		t.Errorf("found at another site: %v, %v", e, err)
	}
	other = place
	other.Sources = []string{"another"}
	if e, err := f.Find(t.Context(), h, other); e != nil || err != nil {
		t.Errorf("found where its source is none of the site's: %v, %v", e, err)
	}
	if g := newFixture(t); g.find(h) != nil {
		t.Error("found with another key")
	}
	twice := h.Clone()
	twice.Add("Cookie", h.Get("Cookie"))
	if f.find(twice) != nil {
		t.Error("a cookie sent twice was believed")
	}
}

func TestIdleAndAbsoluteLimitsAreTheServers(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 20 {
		f.later(29 * time.Minute)
		if f.find(h) == nil {
			t.Fatal("a session in use idled out")
		}
	}
	f.later(31 * time.Minute)
	if f.find(h) != nil {
		t.Error("an idle session was found")
	}
	if len(f.shelf.rows) != 0 {
		t.Error("an idle session was left in the store")
	}
	more := f.limits.Load()
	undo := f.UseLimits(Limits{Idle: time.Hour, Absolute: more.Absolute, InMemory: more.InMemory, Grace: more.Grace})
	if f.find(h) != nil { // though the feed has not told of its end
		t.Error("a session that had ended came back with longer limits")
	}
	undo()
	_, h = f.begin()
	for range 25 {
		f.later(29 * time.Minute)
		f.find(h)
	}
	if f.find(h) != nil {
		t.Error("a session outlived its absolute limit")
	}
}

func TestPeekDoesNotKeepASessionFromIdlingOut(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 4 {
		f.later(10 * time.Minute)
		if _, err := f.Peek(t.Context(), h, place); err != nil {
			t.Fatal(err)
		}
	}
	if f.find(h) != nil {
		t.Error("looking at a session kept it alive")
	}
}

func TestRaiseGivesANewIdentifierAndLeavesTheOldOneItsLevelsForTenSeconds(t *testing.T) {
	f := newFixture(t)
	e, old := f.begin()
	w := httptest.NewRecorder()
	add := func(s *Session) error {
		s.Proofs = append(s.Proofs, policy.Proof{Factor: policy.TOTP, Credential: "c", At: f.clock.now()})
		return nil
	}
	raised, err := f.Raise(t.Context(), w, place, e, add)
	if err != nil {
		t.Fatal(err)
	}
	if len(raised.Session.Proofs) != 2 || raised.Session.ID != e.Session.ID || raised.Session.Hash == e.Session.Hash {
		t.Errorf("raised: %+v", raised.Session)
	}
	if got := f.find(old); got == nil || len(got.Session.Proofs) != 1 {
		t.Errorf("the old identifier: %+v", got)
	} else if _, err := f.Raise(t.Context(), w, place, got, add); !errors.Is(err, ErrNotFound) {
		t.Errorf("a superseded session rose: %v", err)
	}
	if got := f.find(sent(w)); got == nil || len(got.Session.Proofs) != 2 {
		t.Errorf("the new identifier: %+v", got)
	}
	f.later(11 * time.Second)
	if f.find(old) != nil {
		t.Error("the old identifier outlived its overlap")
	}
	if f.find(sent(w)) == nil {
		t.Error("the new identifier ended with the old one")
	}
}

func TestAChangeElsewhereIsSeenWithTheFeed(t *testing.T) {
	f := newFixture(t)
	e, h := f.begin()
	f.shelf.EndSession(t.Context(), e.Session.ID) // by another node
	if f.find(h) == nil {
		t.Fatal("seen before the feed was heard: the test proves nothing")
	}
	f.hear()
	if f.find(h) != nil {
		t.Error("a session that another node ended was found")
	}
	_, h = f.begin()
	owner := f.shelf.owners["joe"]
	owner.Account.SuspendedAt = f.clock.now()
	f.shelf.owners["joe"] = owner
	f.shelf.tell(AccountChanged, "joe")
	f.hear()
	if f.find(h) != nil {
		t.Error("a suspended account's session was found")
	}
}

func TestAStoreThatIsLostIsTrustedForTheGraceAndNoLonger(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	_, unseen := f.begin()
	f.memory.clear()
	f.find(h)
	f.shelf.broken = errors.New("gone")
	f.clock.move(9 * time.Second)
	if f.find(h) == nil {
		t.Error("a known session was not trusted within the grace")
	}
	if _, err := f.Find(t.Context(), unseen, place); !errors.Is(err, ErrStore) {
		t.Errorf("an unknown session: %v", err)
	}
	f.clock.move(2 * time.Second)
	if _, err := f.Find(t.Context(), h, place); !errors.Is(err, ErrStore) {
		t.Errorf("after the grace: %v", err)
	}
	f.shelf.broken = nil
	f.hear()
	if f.find(h) == nil {
		t.Error("not found once the store was back")
	}
}

func TestCurrentFollowsASessionOverItsIdentifiers(t *testing.T) {
	f := newFixture(t)
	e, _ := f.begin()
	w := httptest.NewRecorder()
	if _, err := f.Raise(t.Context(), w, place, e, func(s *Session) error { s.Device = "private"; return nil }); err != nil {
		t.Fatal(err)
	}
	f.later(time.Minute)
	if now, err := f.Current(t.Context(), e); err != nil || now.Device != "private" {
		t.Errorf("%+v, %v", now, err)
	}
	f.shelf.EndSession(t.Context(), e.Session.ID)
	f.hear()
	if _, err := f.Current(t.Context(), e); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}

func TestLastSeenIsWrittenAtMostOnceAMinute(t *testing.T) {
	f := newFixture(t)
	_, h := f.begin()
	for range 1100 { // a minute and fifty seconds
		f.later(100 * time.Millisecond)
		f.find(h)
	}
	if f.shelf.touches != 1 {
		t.Errorf("%d writes in less than two minutes", f.shelf.touches)
	}
}

func FuzzCookieValueFindsOneOrNone(f *testing.F) {
	for _, seed := range []string{"stepgate=a", "a=b; stepgate=a", "stepgate=a; stepgate=b", "stepgate=", "xstepgate=a", " stepgate=a ;;", "stepgate"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		value := cookieValue(http.Header{"Cookie": {line}}, "stepgate")
		if value != "" && strings.Count(line, "stepgate="+value) == 0 {
			t.Errorf("%q is not in %q", value, line)
		}
		if strings.Count(line, "stepgate=") == 0 && value != "" {
			t.Errorf("found %q in %q", value, line)
		}
	})
}

func TestReservedCoversEverySpellingOfTheGatewaysCookies(t *testing.T) {
	for name, want := range map[string]bool{
		"stepgate": true, "__Host-stepgate": true, "__host-STEPGATE": true, "stepgate-8443": true, "__Host-stepgate_visit": true,
		"stepgated": false, "mystepgate": false, "": false, "__Host-": false, "PHPSESSID": false,
	} {
		if Reserved(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
