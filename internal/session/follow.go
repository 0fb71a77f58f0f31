package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run reads the feed's end and then follows it until Close. An error means
// that the store could not be asked.
func (m *Manager) Run(ctx context.Context) error {
	asked := m.Now()
	_, seq, err := m.Store.Changes(ctx, -1)
	if err != nil {
		return fmt.Errorf("read the feed of changes: %w", err)
	}
	m.seq.Store(seq)
	m.heardAt.Store(asked.UnixNano())
	ctx, m.stop = context.WithCancel(context.Background())
	m.done.Add(4)
	go m.follow(ctx)
	go m.listen(ctx)
	go m.touch(ctx)
	go m.tidy(ctx)
	return nil
}

// Close stops following. Sessions stay in the store.
func (m *Manager) Close() {
	if m.stop != nil {
		m.stop()
		m.done.Wait()
	}
}

func (m *Manager) follow(ctx context.Context) {
	defer m.done.Done()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.heard:
		}
		err := m.poll(ctx)
		failing := m.failing.Swap(err != nil)
		if err != nil && !failing && ctx.Err() == nil {
			m.Log("the store does not answer; known sessions are trusted for "+m.limits.Load().Grace.String(), err)
		}
		if err == nil && failing {
			m.Log("the store answers again", nil)
		}
	}
}

// listen has the feed read as soon as another node has added to it, where the
// store can tell. The feed is polled all the same: that alone is trusted.
func (m *Manager) listen(ctx context.Context) {
	defer m.done.Done()
	heard := func() {
		select {
		case m.heard <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		if err := m.Store.Listen(ctx, heard); errors.Is(err, ErrCannotListen) {
			return
		}
		select { // follow says what is wrong with the store
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// poll applies what is new in the feed. After a silence longer than the grace
// nothing in memory is believed any more.
func (m *Manager) poll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	asked := m.Now()
	changes, seq, err := m.Store.Changes(ctx, m.seq.Load())
	if err != nil {
		return err
	}
	if m.silent(asked) {
		m.memory.clear()
	}
	m.seq.Store(seq)
	for _, c := range changes {
		m.memory.apply(c)
	}
	m.heardAt.Store(asked.UnixNano())
	return nil
}

func (m *Manager) silent(now time.Time) bool {
	return now.UnixNano()-m.heardAt.Load() > int64(m.limits.Load().Grace)
}

// tidy lets go of what nobody uses any more: sessions that have ended by
// themselves, and of the others what was derived for a moment.
func (m *Manager) tidy(ctx context.Context) {
	defer m.done.Done()
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.tidyUp()
		}
	}
}

func (m *Manager) tidyUp() {
	now := m.Now()
	m.memory.tidy(now, func(e *Entry) bool { return !now.Before(e.Session.EndsAt) || m.idle(e, now) })
}

// touch writes SeenAt off the request, for many sessions at once.
func (m *Manager) touch(ctx context.Context) {
	defer m.done.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-m.touches:
			seen := m.gather(ctx, e)
			// What has been gathered is written at the end too.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
			if err := m.Store.TouchSessions(ctx, seen); err != nil && !m.failing.Load() {
				m.Log("keep when sessions were last seen", err)
			}
			cancel()
		}
	}
}

// gather collects the sessions that are seen within touchWait of the first, and
// no more than one write should hold.
func (m *Manager) gather(ctx context.Context, e *Entry) map[ID]time.Time {
	seen := map[ID]time.Time{e.Session.ID: e.SeenAt()}
	over := time.NewTimer(m.touchWait)
	defer over.Stop()
	for len(seen) < touchRows {
		select {
		case e := <-m.touches:
			seen[e.Session.ID] = e.SeenAt()
		case <-over.C:
			return seen
		case <-ctx.Done():
			return seen
		}
	}
	return seen
}

// Heard is when the feed of changes last answered, and whether it does now.
func (m *Manager) Heard() (at time.Time, answers bool) {
	return time.Unix(0, m.heardAt.Load()).UTC(), !m.failing.Load()
}

// Answers is an error (ErrStore) where the store does not answer now, whatever
// sessions are trusted without it. It asks the store only where the feed is
// late.
func (m *Manager) Answers(ctx context.Context) error {
	switch {
	case m.failing.Load():
		return ErrStore
	case m.Now().UnixNano()-m.heardAt.Load() < int64(2*pollEvery):
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	if _, _, err := m.Store.Changes(ctx, m.seq.Load()); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}
