package session

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// Entry is a session in this process's memory. Session and Owner never change
// after the entry is made: a change makes a new one. Safe for concurrent use.
type Entry struct {
	Session Session
	Owner   Owner
	// Memo is for what the handler derives from the session and wants to
	// find again (levels met, identity headers). It dies with the entry. A Fader
	// is asked from time to time to let go of what has become old.
	Memo atomic.Value
	// Scope is what a secret that a program sends may be used for; nil for a
	// browser's session.
	Scope any

	cookie  string
	seen    atomic.Int64 // unix nanoseconds of the last request here
	touched atomic.Int64 // of the last SeenAt sent to the store
	vetted  atomic.Pointer[Vet]

	// Those beside it in the indexes, and whether it is in them.
	ofSession, ofAccount neighbours
	indexed              bool
}

// Fader is what has parts that are good for a moment only.
type Fader interface {
	// Fade lets go of what is of no use any more at now. It may be called
	// beside any use.
	Fade(now time.Time)
}

// SeenAt is the last request that this process knows of.
func (e *Entry) SeenAt() time.Time { return time.Unix(0, e.seen.Load()).UTC() }

const shardCount = 64

// limit bounds how many entries there are. A lower bound takes effect as shards
// are written to.
func (m *memory) limit(entries int) {
	if entries <= 0 {
		entries = DefaultInMemory
	}
	m.capacity.Store(int64(max(1, (entries+shardCount-1)/shardCount)))
}

// memory finds entries by cookie value without a lock that requests of other
// sessions wait for, and by what a change names.
type memory struct {
	seed     maphash.Seed
	shards   [shardCount]shard
	capacity atomic.Int64 // of each shard

	words *words

	mu        sync.Mutex
	bySession index[ID]
	byAccount index[account.ID]
}

type shard struct {
	sync.RWMutex
	entries map[string]*Entry
	// found and missed count look-ups, beside the lock that these touch anyway.
	found, missed atomic.Uint64
}

func newMemory() *memory {
	m := &memory{
		seed:      maphash.MakeSeed(),
		words:     newWords(),
		bySession: index[ID]{map[ID]*Entry{}, func(e *Entry) ID { return e.Session.ID }, func(e *Entry) *neighbours { return &e.ofSession }},
		byAccount: index[account.ID]{map[account.ID]*Entry{}, func(e *Entry) account.ID { return e.Owner.Account.ID }, func(e *Entry) *neighbours { return &e.ofAccount }},
	}
	for i := range m.shards {
		m.shards[i].entries = map[string]*Entry{}
	}
	return m
}

func (m *memory) shard(cookie string) *shard {
	return &m.shards[maphash.String(m.seed, cookie)%shardCount]
}

func (m *memory) load(cookie string) *Entry {
	s := m.shard(cookie)
	s.RLock()
	e := s.entries[cookie]
	s.RUnlock()
	if e != nil {
		s.found.Add(1)
	} else {
		s.missed.Add(1)
	}
	return e
}

// Numbers are what memory holds and how often it had what was looked for,
// since the start.
type Numbers struct {
	Entries       int
	Found, Missed uint64
}

func (m *memory) numbers() (n Numbers) {
	for i := range m.shards {
		s := &m.shards[i]
		s.RLock()
		n.Entries += len(s.entries)
		s.RUnlock()
		n.Found += s.found.Load()
		n.Missed += s.missed.Load()
	}
	return n
}

// evictionSample is how many entries of a full shard are compared. With
// eight, what goes is nearly always of the oldest eighth, and nobody keeps a
// list in the order of use, which every request would have to lock.
const evictionSample = 8

// oldest is an entry of the shard that has not been used for long.
func (s *shard) oldest() (old *Entry) {
	left := evictionSample
	for _, e := range s.entries { // begins anywhere
		if old == nil || e.seen.Load() < old.seen.Load() {
			old = e
		}
		if left--; left == 0 {
			break
		}
	}
	return old
}

// store keeps e, which nobody else knows yet, under its cookie. A full shard drops an entry that has not
// been used for long: it is read again from the store when it is next seen.
func (m *memory) store(e *Entry) {
	m.words.compact(e)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shard(e.cookie)
	s.Lock()
	old := s.entries[e.cookie]
	var gone []*Entry
	if old != nil {
		gone = append(gone, old)
	}
	for old == nil && int64(len(s.entries)) >= m.capacity.Load() {
		victim := s.oldest()
		delete(s.entries, victim.cookie)
		gone = append(gone, victim)
	}
	s.entries[e.cookie] = e
	s.Unlock()
	for _, e := range gone {
		m.unindex(e)
	}
	m.bySession.link(e)
	m.byAccount.link(e)
	e.indexed = true
}

func (m *memory) unindex(e *Entry) {
	if e.indexed {
		m.bySession.unlink(e)
		m.byAccount.unlink(e)
		e.indexed = false
	}
}

// drop forgets an entry, unless another has taken its place.
func (m *memory) drop(e *Entry) {
	s := m.shard(e.cookie)
	s.Lock()
	if s.entries[e.cookie] == e {
		delete(s.entries, e.cookie)
	}
	s.Unlock()
	m.unindex(e)
}

func (m *memory) forget(e *Entry) {
	m.mu.Lock()
	m.drop(e)
	m.mu.Unlock()
}

// current returns the entry of a session's newest identifier, if it is here.
func (m *memory) current(id ID) *Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := range m.bySession.all(id) {
		if e.Session.SupersededAt.IsZero() {
			return e
		}
	}
	return nil
}

// apply forgets what a change has made old.
func (m *memory) apply(c Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch c.Kind {
	case SessionChanged:
		for e := range m.bySession.all(ID(c.Key)) {
			m.drop(e)
		}
	case AccountChanged:
		for e := range m.byAccount.all(account.ID(c.Key)) {
			m.drop(e)
		}
	case OrganisationChanged:
		for id := range m.byAccount.first {
			for e := range m.byAccount.all(id) {
				if e.Owner.Account.Organisation == c.Key {
					m.drop(e)
				}
			}
		}
	}
}

func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*Entry
	for i := range m.shards {
		s := &m.shards[i]
		s.Lock()
		all = slices.AppendSeq(all, maps.Values(s.entries))
		clear(s.entries)
		s.Unlock()
	}
	for _, e := range all {
		m.unindex(e)
	}
}

// tidy has each entry let go of what has become old, and forgets those of
// which over says that they are of no use any more. It holds up nobody for
// longer than the copying of a shard's pointers takes.
func (m *memory) tidy(now time.Time, over func(*Entry) bool) {
	var all []*Entry
	for i := range m.shards {
		s := &m.shards[i]
		s.RLock()
		all = slices.AppendSeq(all[:0], maps.Values(s.entries))
		s.RUnlock()
		for _, e := range all {
			if over(e) {
				m.forget(e)
			} else if f, ok := e.Memo.Load().(Fader); ok {
				f.Fade(now)
			}
		}
	}
}
