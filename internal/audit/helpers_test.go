package audit

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/keys"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123_000_000, time.UTC)

func newChain(t testing.TB) *Chain {
	t.Helper()
	ring, err := keys.Create(filepath.Join(t.TempDir(), "stepgate.key"), noon)
	if err != nil {
		t.Fatal(err)
	}
	return NewChain(ring)
}

// memory is a Store in memory.
type memory struct {
	chain *Chain
	mu    sync.Mutex
	rows  []Row
	fail  error
}

func (m *memory) AppendEvent(_ context.Context, e Event) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return Record{}, m.fail
	}
	var last Link
	if n := len(m.rows); n > 0 {
		last = Link{Seq: m.rows[n-1].Seq, Hash: m.rows[n-1].Hash}
	}
	r, err := m.chain.Seal(last, e)
	if err == nil {
		m.rows = append(m.rows, r.Row())
	}
	return r, err
}

func (m *memory) EventRows(_ context.Context, after int64, limit int) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []Row
	for _, r := range m.rows {
		if r.Seq > after && len(page) < limit {
			page = append(page, r)
		}
	}
	return page, m.fail
}

func (m *memory) Events(context.Context, Query) ([]Record, error) { return nil, nil }
func (m *memory) EventByReference(context.Context, string) (Record, error) {
	return Record{}, ErrNotFound
}

func (m *memory) names() []Name {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []Name
	for _, r := range m.rows {
		names = append(names, r.Name)
	}
	return names
}

// trail is a store with n different events.
func trail(t testing.TB, n int) *memory {
	t.Helper()
	m := &memory{chain: newChain(t)}
	known := Kinds()
	for i := range n {
		e := Event{
			At: noon.Add(time.Duration(i) * time.Second), Name: known[i%len(known)].Name,
			Reference: NewReference(), Account: "ACCOUNT", Actor: "ACTOR", Organisation: "default",
		}
		if _, err := m.AppendEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func rowsOf(rows []Row) func(func(Row, error) bool) {
	return func(yield func(Row, error) bool) {
		for _, r := range slices.Clone(rows) {
			if !yield(r, nil) {
				return
			}
		}
	}
}
