package sqldb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/keys"
)

// bodies are files beside an SQLite store with what is large of kept requests:
// their chunks of full length, sealed, one behind the other in a file of the
// request's ID. What is shorter is in the table kept_chunk. SQLite would write
// each chunk twice, page by page, with a sync for every four megabytes.
//
// A file is worth nothing without its row in kept_request: who deletes a row
// deletes the file behind it, and sweep what was missed. It needs no backup.
type bodies struct{ dir string }

// bodiesOf are those of the store in the file at path.
func bodiesOf(path string) *bodies { return &bodies{dir: path + "-kept"} }

// slot is the length of a sealed chunk.
const slot = kept.ChunkBytes + keys.SealedOverhead

// sealedChunks are buffers of a slot's length.
var sealedChunks = sync.Pool{New: func() any { b := make([]byte, 0, slot); return &b }}

// open opens the file of a request; fs.ErrNotExist where there is none.
func (s *bodies) open(id kept.ID, flag int) (*os.File, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(string(id), flag, 0o600)
}

// add writes chunk number seq. It reports false where that is not the next.
func (s *bodies) add(id kept.ID, seq int, sealed []byte) (bool, error) {
	flag := os.O_WRONLY
	if seq == 0 {
		flag |= os.O_CREATE | os.O_EXCL
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return false, err
		}
	}
	f, err := s.open(id, flag)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != int64(seq)*slot {
		return false, err
	}
	if _, err := f.WriteAt(sealed, info.Size()); err != nil {
		return false, err
	}
	return true, beginToWriteBack(f, info.Size(), slot)
}

// count is how many chunks of a request there are.
func (s *bodies) count(id kept.ID) (int, error) {
	f, err := s.open(id, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return int(info.Size() / slot), nil
}

// read reads a sealed chunk; kept.ErrGone where there is none.
func (s *bodies) read(id kept.ID, seq int) ([]byte, error) {
	f, err := s.open(id, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, kept.ErrGone
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sealed := make([]byte, slot)
	if _, err = f.ReadAt(sealed, int64(seq)*slot); err == io.EOF {
		err = kept.ErrGone
	}
	return sealed, err
}

// sync waits until a request's file, if it has one, is on the disk.
func (s *bodies) sync(id kept.ID) error {
	f, err := s.open(id, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	leaveMemory(f)
	return errors.Join(keys.SyncDirectory(s.dir), keys.SyncDirectory(filepath.Dir(s.dir)))
}

// drop deletes the files of requests. One that has none is no error.
func (s *bodies) drop(ids ...kept.ID) error {
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	var failed []error
	for _, id := range ids {
		if err := root.Remove(string(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// all are the requests that have a file.
func (s *bodies) all() ([]kept.ID, error) {
	found, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ids := make([]kept.ID, len(found))
	for i, f := range found {
		ids[i] = kept.ID(f.Name())
	}
	return ids, nil
}

// keys counts the chunks that each key has sealed, by its ID in hexadecimal.
func (s *bodies) keys(rows map[string]int64) error {
	ids, err := s.all()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.keysOf(id, rows); err != nil {
			return err
		}
	}
	return nil
}

func (s *bodies) keysOf(id kept.ID, rows map[string]int64) error {
	f, err := s.open(id, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var head [9]byte // the version and the key's ID
	for at := int64(0); ; at += slot {
		switch _, err := f.ReadAt(head[:], at); err {
		case nil:
			rows[fmt.Sprintf("%x", head[1:])]++
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}
