package audit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var sameCheckpoint = cmpopts.IgnoreUnexported(Checkpoint{})

func someCheckpoint(t testing.TB, c *Chain) Checkpoint {
	t.Helper()
	p, err := c.Checkpoint(Link{Seq: 12345, Hash: []byte(strings.Repeat("h", 32))}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheckpointIsReadBackFromItsLine(t *testing.T) {
	c := newChain(t)
	p := someCheckpoint(t, c)
	if strings.ContainsAny(p.String(), "\r\n") {
		t.Errorf("%q is more than one line", p)
	}
	got, err := c.ParseCheckpoint(" " + p.String() + "\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got, sameCheckpoint); diff != "" {
		t.Error(diff)
	}
	if got.String() != p.String() {
		t.Errorf("%s is written again as %s", p, got)
	}
}

func TestCheckpointOfAnEmptyTrailIsRefused(t *testing.T) {
	if _, err := newChain(t).Checkpoint(Link{}, noon); !errors.Is(err, ErrEmpty) {
		t.Errorf("got %v", err)
	}
}

func TestParseCheckpointRefusesEveryChangedByte(t *testing.T) {
	c := newChain(t)
	text := someCheckpoint(t, c).String()
	for i := range text {
		for _, b := range []byte("0A _-9z") {
			if text[i] == b {
				continue
			}
			changed := text[:i] + string(b) + text[i+1:]
			if strings.TrimSpace(changed) == text {
				continue
			}
			if _, err := c.ParseCheckpoint(changed); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("%q: %v", changed, err)
			}
		}
		if _, err := c.ParseCheckpoint(text[:i]); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%q: %v", text[:i], err)
		}
	}
	if _, err := newChain(t).ParseCheckpoint(text); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("another key file: %v", err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	c := newChain(f)
	genuine := someCheckpoint(f, c).String()
	f.Add(genuine)
	f.Add("")
	f.Add(checkpointWord + " 1 2026-03-01T12:00:00Z AA AA")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseCheckpoint(text); err == nil && p.String() != text {
			t.Errorf("%q is written again as %q", text, p)
		}
		_, err := c.ParseCheckpoint(text)
		if (err == nil) != (strings.TrimSpace(text) == genuine) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
