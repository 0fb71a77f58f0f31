package keys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Create makes a key file with one key, for a store that is being made. It
// never touches a file that is there: that is an error which is fs.ErrExist.
// When it returns nil the file survives a crash. The directory must exist.
func Create(path string, now time.Time) (*Ring, error) {
	k, err := generateKey(now)
	if err != nil {
		return nil, err
	}
	set, err := newKeySet([]*key{k}, 0, nil)
	if err != nil {
		return nil, err
	}
	if err := writeNew(path, formatFile(set)); err != nil {
		mend := "make sure that its directory exists and that stepgate may write to it"
		if errors.Is(err, fs.ErrExist) {
			mend = "use the file that is there, or name another for the new store"
		}
		return nil, &FileError{Path: path, Problem: "cannot be made: " + cause(err), Mend: mend, Err: err}
	}
	return newRing(set), nil
}

// writeNew makes the file and its directory entry durable.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := writeAndClose(f, text); err != nil {
		os.Remove(path)
		return err
	}
	return SyncDirectory(filepath.Dir(path))
}

// writeAndClose writes the whole text, brings it to the disk and closes f.
func writeAndClose(f *os.File, text []byte) error {
	defer f.Close() // for the errors; a second close does nothing
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// Replace writes a file for its owner alone, whole or not at all, and durably.
func Replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	if err := writeAndClose(f, text); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDirectory(filepath.Dir(path))
}

// SyncDirectory brings a directory's entries to the disk where the system can
// do so.
func SyncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
