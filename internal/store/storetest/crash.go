package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Crashes keeps, after each write of a SQLite store, what a kill of the process
// right then would leave on the disk. (A kill within a write leaves what the
// write before has left.) Its Took is for the store's watch; tests of other
// rooms open what it kept, and look at what became of their ceremonies.
type Crashes struct {
	t    testing.TB
	path string

	mu   sync.Mutex
	on   bool
	left []string
}

// NewCrashes is for the store in the file at path. It keeps nothing yet.
func NewCrashes(t testing.TB, path string) *Crashes { return &Crashes{t: t, path: path} }

// Begin keeps what is left now, and from now on after each write.
func (c *Crashes) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = true
	c.keep()
}

// Took keeps the files as a "write" has left them.
func (c *Crashes) Took(kind string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on && kind == "write" {
		c.keep()
	}
}

func (c *Crashes) keep() {
	copied := filepath.Join(c.t.TempDir(), fmt.Sprintf("after-%d.db", len(c.left)))
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(c.path + suffix)
		if err == nil {
			err = os.WriteFile(copied+suffix, raw, 0o600)
		}
		if err != nil {
			c.t.Error(err)
		}
	}
	c.left = append(c.left, copied)
}

// Left are the files, the oldest first. The last is of the last write that was
// acknowledged.
func (c *Crashes) Left() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.left...)
}
