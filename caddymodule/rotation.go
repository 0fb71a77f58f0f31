package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/operation"
)

// keyRing is the ring of a store with all that hangs on it: its file, the
// store that knows its keys, and the session cookies.
type keyRing struct {
	shared *shared
	from   keys.Source
}

// List implements operation.Keys.
func (k keyRing) List() []keys.Info { return k.shared.ring.List() }

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

// reload takes over what another process or another node has made of the
// file.
func (k keyRing) reload(ctx context.Context) error {
	before := k.List()
	if err := k.shared.ring.Reload(ctx, k.from); err != nil {
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
	return k.shared.keepChecks(ctx)
}

// Interface guard.
var _ operation.Keys = keyRing{}
