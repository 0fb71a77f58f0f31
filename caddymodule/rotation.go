package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/internal/session"
)

// keyRing is the ring of a store with all that hangs on it: its file, the
// store that knows its keys, and the session cookies.
type keyRing struct {
	shared *shared
	from   keys.Source
	// browsers is for how long a browser may keep something that is sealed.
	browsers time.Duration
}

func (a *App) keyRing(s *shared) keyRing {
	return keyRing{shared: s, from: a.keySource(), browsers: max(challenge.KnownTTL, a.deviceLife(), a.limits().Absolute+session.Remembered)}
}

// List implements operation.Keys.
func (k keyRing) List() []keys.Info { return k.shared.ring.List() }

// Browsers implements operation.Keys.
func (k keyRing) Browsers() time.Duration { return k.browsers }

// Prepare implements operation.Keys.
func (k keyRing) Prepare(_ context.Context, now time.Time) error {
	if err := k.changeable(); err != nil {
		return err
	}
	_, err := k.shared.ring.Prepare(k.from.File, now)
	return err
}

// changeable refuses to change keys that are in no file.
func (k keyRing) changeable() error {
	if k.from.IsFile() {
		return nil
	}
	return fmt.Errorf("%w: they come from %s; change a copy of their file with `stepgate keys rotate --file FILE`, put its text there, and reload", keys.ErrElsewhere, k.from)
}

// Rotate implements operation.Keys. A crash right after the file was replaced
// loses nothing: the next start tells the store.
func (k keyRing) Rotate(ctx context.Context, now time.Time) error {
	if err := k.changeable(); err != nil {
		return err
	}
	if _, err := k.shared.ring.Rotate(k.from.File, now); err != nil {
		return err
	}
	return k.renewed(ctx)
}

// Retire implements operation.Keys. The store forgets a key before the file
// does: a crash in between leaves a key that nobody asks for, and that the next
// call takes out. Keys that are in no file are taken out by whoever keeps them.
func (k keyRing) Retire(ctx context.Context, ids []string, unusedSince, now time.Time, event audit.Event) error {
	checks := make([]string, len(ids))
	for i, id := range ids {
		checks[i] = k.shared.ring.CheckOf(id)
	}
	if err := k.shared.store.RetireKeys(ctx, checks, unusedSince, now, event); err != nil {
		return err
	}
	return k.Drop(ctx, ids)
}

// Drop implements operation.Keys.
func (k keyRing) Drop(ctx context.Context, ids []string) error {
	if !k.from.IsFile() {
		return nil
	}
	if err := k.shared.ring.Retire(k.from.File, ids); err != nil {
		return err
	}
	return k.renewed(ctx)
}

// reload takes over what another process or another node has made of the
// file.
func (k keyRing) reload(ctx context.Context) error {
	before := k.List()
	err := k.shared.ring.Reload(ctx, k.from, nil)
	if errors.Is(err, keys.ErrWrongKey) { // the store says whether it was retired
		known, unread := k.shared.store.Keys(ctx)
		if err = errors.Join(err, unread); unread == nil {
			err = k.shared.ring.Reload(ctx, k.from, known)
		}
	}
	if err != nil {
		return fmt.Errorf("key_file: %w", err)
	}
	if slices.Equal(before, k.List()) {
		return nil
	}
	return k.renewed(ctx)
}

// renewed tells everybody who made something of the keys before.
func (k keyRing) renewed(ctx context.Context) error {
	k.shared.sessions.SetKeys(k.shared.ring.CookieKeys("session"))
	err := k.shared.store.SaveKeys(ctx, k.shared.ring.Checks(), k.shared.ring.Primary(), time.Now())
	k.shared.askReseal()
	return err
}

// Interface guard.
var _ operation.Keys = keyRing{}
