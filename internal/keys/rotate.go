package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Rotate makes another key primary, in the file and then in r: the prepared
// one if there is one, a new one otherwise. The older keys stay in both, so
// nobody is signed out. The returned ring is r. The caller gives the store
// the new Checks and makes codecs from CookieKeys anew.
//
// The file is replaced in one step, and the new one survives a crash before r
// uses its key. On an error r goes on as before.
func (r *Ring) Rotate(path string, now time.Time) (*Ring, error) {
	return r.change(path, func(s *keySet) (*keySet, error) {
		if last := len(s.keys) - 1; last > s.primary {
			return newKeySet(s.keys, last, s.lasting.prk)
		}
		k, err := generateKey(now)
		if err != nil {
			return nil, err
		}
		return newKeySet(append(slices.Clone(s.keys), k), len(s.keys), s.lasting.prk)
	})
}

// Prepare adds a key that writes nothing until the next Rotate. With several
// nodes: prepare, copy the file to all of them and reload, then rotate, copy
// and reload. So no node meets a key that it does not hold. A ring with a
// prepared key stays as it is. The returned ring is r.
func (r *Ring) Prepare(path string, now time.Time) (*Ring, error) {
	return r.change(path, func(s *keySet) (*keySet, error) {
		if s.primary < len(s.keys)-1 {
			return s, nil
		}
		k, err := generateKey(now)
		if err != nil {
			return nil, err
		}
		return newKeySet(append(slices.Clone(s.keys), k), s.primary, s.lasting.prk)
	})
}

// Reload takes over what the source holds now, after another process or
// another node changed it. It must still hold every key of r but those that
// the store knows to be retired; on an error r goes on as before.
func (r *Ring) Reload(ctx context.Context, from Source, known []Known) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	set, err := r.reread(ctx, from, known)
	if err != nil {
		return err
	}
	r.held.Store(set)
	return nil
}

// change replaces the file by what edit makes of it, and then the keys of r.
func (r *Ring) change(path string, edit func(*keySet) (*keySet, error)) (*Ring, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	target, err := filepath.EvalSymlinks(path) // the link stays, its target changes
	if err != nil {
		return nil, unreachable(path, err)
	}
	// The new file's name is the lock: who cannot make it is not alone.
	staged := target + ".new"
	f, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, notAlone(target, staged, err)
	}
	next, err := r.stage(f, target, edit)
	if err != nil {
		os.Remove(staged)
		return nil, err
	}
	if err := os.Rename(staged, target); err != nil {
		os.Remove(staged)
		return nil, fmt.Errorf("replace key file: %w", err)
	}
	if err := SyncDirectory(filepath.Dir(target)); err != nil {
		return nil, fmt.Errorf("replace key file %q: %w", target, err)
	}
	r.held.Store(next)
	return r, nil
}

// stage writes the edited keys of the file at target into f and closes it.
func (r *Ring) stage(f *os.File, target string, edit func(*keySet) (*keySet, error)) (*keySet, error) {
	defer f.Close() // for the errors; writeAndClose has closed it otherwise
	held, err := r.reread(context.Background(), Source{File: target}, nil)
	if err != nil {
		return nil, err
	}
	next, err := edit(held)
	if err != nil {
		return nil, err
	}
	if err := writeAndClose(f, formatFile(next)); err != nil {
		return nil, fmt.Errorf("write key file %q: %w", target, err)
	}
	return next, nil
}

// reread is the source's present content, with the keys that r holds already
// taken from r. One that lacks one of them that is not retired is not this
// ring's.
func (r *Ring) reread(ctx context.Context, from Source, known []Known) (*keySet, error) {
	set, err := from.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, mine := range r.held.Load().keys {
		i := slices.IndexFunc(set.keys, func(k *key) bool { return k.id == mine.id })
		if i < 0 && slices.ContainsFunc(known, func(k Known) bool { return k.Check == mine.check && !k.RetiredAt.IsZero() }) {
			continue
		}
		if i < 0 {
			return nil, &FileError{
				Path:    from.String(),
				Problem: fmt.Sprintf("no longer holds key %s, which is in use", mine.name()),
				Mend:    "restore it from a copy, or retire the key with `stepgate keys retire` before it is taken out",
				Err:     ErrWrongKey,
			}
		}
		set.keys[i] = mine
	}
	return set, nil
}

// notAlone describes why the new file could not be made.
func notAlone(path, staged string, err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("change key file %q: %w", path, err)
	}
	return fmt.Errorf("change key file %q: another change is under way, or one was interrupted; "+
		"if none is, remove %q and try again: %w", path, staged, err)
}
