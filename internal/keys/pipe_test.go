//go:build unix

package keys

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Opening a pipe that nobody writes to would never return.
func TestLoadRefusesAPipeWithoutWaiting(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	refusedFile(t, pipe, "is not a regular file")
	refusedFile(t, os.DevNull, "is not a regular file")
}
