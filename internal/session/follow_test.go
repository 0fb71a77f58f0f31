package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// loud is a shelf that tells of changes where told is not nil.
type loud struct {
	*shelf
	told chan struct{}
	asks atomic.Int64
}

func (l *loud) Listen(ctx context.Context, heard func()) error {
	for {
		heard()
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-l.told:
			if !ok {
				return errors.New("the connection is lost")
			}
		}
	}
}

func (l *loud) Changes(ctx context.Context, seq int64) ([]Change, int64, error) {
	l.asks.Add(1)
	return l.shelf.Changes(ctx, seq)
}

// TestAChangeIsHeardBeforeItIsPolledFor lets another node's sign-out be told.
func TestAChangeIsHeardBeforeItIsPolledFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		l := &loud{shelf: f.shelf, told: make(chan struct{})}
		f.Manager.Store = l
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		e, cookie := f.begin()
		time.Sleep(pollEvery + pollEvery/5)
		synctest.Wait()
		if err := f.shelf.EndSession(t.Context(), e.Session.ID); err != nil {
			t.Fatal(err)
		}
		l.told <- struct{}{}
		synctest.Wait() // no time passes
		if f.find(cookie) != nil {
			t.Error("a session that was ended on another node lives until the next poll")
		}
		// A store that no longer tells is polled, and asked to tell again.
		close(l.told)
		asked := l.asks.Load()
		time.Sleep(2 * listenAgain)
		synctest.Wait()
		if l.asks.Load() < asked+int64(2*listenAgain/pollEvery)-1 {
			t.Errorf("the feed was read %d times in %s", l.asks.Load()-asked, 2*listenAgain)
		}
	})
}

func TestSessionsAreTouchedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		if err := f.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var cookies []http.Header
		for range 20 {
			_, cookie := f.begin()
			cookies = append(cookies, cookie)
		}
		f.clock.move(2 * touchEvery)
		f.hear()
		before := f.shelf.touchWrites
		for _, cookie := range cookies {
			f.find(cookie)
		}
		time.Sleep(2 * touchWait)
		synctest.Wait()
		if f.shelf.touches != 20 || f.shelf.touchWrites != before+1 {
			t.Errorf("%d sessions were touched in %d writes", f.shelf.touches, f.shelf.touchWrites-before)
		}
	})
}

func TestWhatWasNotUsedForLongMakesRoom(t *testing.T) {
	const shardCapacity = 64
	m := newMemory()
	m.limit(shardCount * shardCapacity)
	now := time.Now()
	used := func(i int) *Entry {
		e := &Entry{cookie: fmt.Sprint("cookie ", i), Session: Session{ID: ID(fmt.Sprint(i))}}
		e.seen.Store(now.Add(time.Duration(i)).UnixNano())
		return e
	}
	const many = shardCount * shardCapacity * 2
	for i := range many {
		m.store(used(i))
	}
	n := m.numbers()
	if n.Entries > shardCount*shardCapacity || n.Entries < shardCount*shardCapacity*9/10 {
		t.Fatalf("%d entries", n.Entries)
	}
	// By chance a third of those that were used last would be gone.
	kept := 0
	for i := many - shardCount*shardCapacity/4; i < many; i++ {
		if m.load(fmt.Sprint("cookie ", i)) != nil {
			kept++
		}
	}
	if share := float64(kept) / float64(shardCount*shardCapacity/4); share < 0.95 {
		t.Errorf("of the sessions used last %.2f are in memory", share)
	}
	if len(m.bySession.first) != n.Entries {
		t.Errorf("%d sessions are indexed, %d in memory", len(m.bySession.first), n.Entries)
	}
	m.limit(shardCount)
	for i := range shardCount * 20 {
		m.store(used(many + i))
	}
	if n := m.numbers(); n.Entries > shardCount || len(m.bySession.first) != n.Entries {
		t.Errorf("%d sessions after the bound went down, %d indexed", n.Entries, len(m.bySession.first))
	}
}
