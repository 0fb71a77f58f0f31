package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// maxFileBytes is far above what any ring needs.
const maxFileBytes = 1 << 20

// FileError says what is wrong with a key file. Its text names the file, what
// is lost without it and how to mend it; it holds no secret. Is and As reach
// the cause (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission).
type FileError struct {
	Path    string
	Problem string
	Mend    string
	Err     error // nil where Problem says it all
}

func (e *FileError) Error() string {
	return fmt.Sprintf("key file %q: %s; %s; %s", e.Path, e.Problem, lostWithout, e.Mend)
}

func (e *FileError) Unwrap() error { return e.Err }

const restore = "restore it from a copy; only a store that is new as well can do with a new one"

// Load reads the key file. A file that is missing, no regular file, open to
// anyone but its owner, or not wholly understood is a *FileError, and the
// gateway must not start. A symbolic link is followed; the mode of what it
// points to counts.
func Load(path string) (*Ring, error) {
	set, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return newRing(set), nil
}

func readFile(path string) (*keySet, error) {
	// Before opening: a named pipe would make us wait.
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unreachable(path, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, unreachable(path, err)
	}
	if err := checkMode(path, info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, unreachable(path, err)
	}
	if len(text) > maxFileBytes {
		return nil, &FileError{Path: path, Problem: "is too large for a key file", Mend: "name the right file, or " + restore}
	}
	set, err := parseFile(text)
	if err != nil {
		return nil, &FileError{Path: path, Problem: err.Error(), Mend: restore, Err: err}
	}
	return set, nil
}

// unreachable describes a file that could not be reached.
func unreachable(path string, err error) error {
	e := &FileError{Path: path, Problem: "cannot be read: " + cause(err), Mend: restore, Err: err}
	link, linkErr := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && linkErr == nil && link.Mode()&fs.ModeSymlink != 0:
		e.Problem = "is a symbolic link that points to nothing"
		e.Mend = "mend the link, or restore the file from a copy"
	case errors.Is(err, fs.ErrNotExist):
		e.Problem = "is missing"
	case errors.Is(err, fs.ErrPermission):
		e.Mend = "make the user who runs stepgate its owner"
	}
	return e
}

// cause is the part of an error that does not repeat the path.
func cause(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

func checkMode(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &FileError{Path: path, Problem: "is a directory", Mend: "name the file in it"}
	case !info.Mode().IsRegular():
		return &FileError{Path: path, Problem: "is not a regular file", Mend: "name a regular file"}
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return &FileError{
			Path:    path,
			Problem: fmt.Sprintf("can be reached by others than its owner (mode %04o)", info.Mode().Perm()),
			Mend:    fmt.Sprintf("chmod 600 %q; if strangers may have read it, rotate the key as well", path),
		}
	}
	return nil
}
