package ceremony

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plainSealer keeps the text readable; who seals is tested with the ring.
type plainSealer struct{}

func (plainSealer) Seal(purpose string, plaintext, associated []byte) ([]byte, error) {
	return slicesOf(purpose, associated, plaintext), nil
}

func (plainSealer) Open(purpose string, sealed, associated []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, slicesOf(purpose, associated, nil))
	if !ok {
		return nil, errors.New("another site's")
	}
	return plain, nil
}

func slicesOf(purpose string, associated, plain []byte) []byte {
	return bytes.Join([][]byte{[]byte(purpose), associated, plain}, []byte{0})
}

func TestASealedContinuationOpensAsItWas(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for name, c := range map[string]Continuation{
		"short": {ID: "1", Kind: Return, Target: "/cases/1?x=%20", At: now},
		"long":  {ID: "2", Kind: Return, Target: "/cases?" + strings.Repeat("criteria%5B1%5D=a+b&", 900), At: now, Once: "x"},
		"lost":  {ID: "3", Kind: Lost, Target: "/form", Back: "/back", At: now},
	} {
		text, err := c.Seal(plainSealer{}, "https://a.test")
		if err != nil || len(text) > maxSealed {
			t.Fatalf("%s: %d bytes, %v", name, len(text), err)
		}
		got, err := OpenContinuation(plainSealer{}, "https://a.test", text, now)
		if diff := cmp.Diff(c, got); diff != "" || err != nil {
			t.Errorf("%s (-sealed +opened), %v:\n%s", name, err, diff)
		}
		if _, err := OpenContinuation(plainSealer{}, "https://b.test", text, now); !errors.Is(err, ErrContinuation) {
			t.Errorf("%s opens at another site", name)
		}
		later := now.Add(ContinuationTTL + 1)
		got, err = OpenContinuation(plainSealer{}, "https://a.test", text, later)
		if c.Kind == Return {
			if diff := cmp.Diff(Continuation{ID: c.ID, Kind: Return, Target: c.Target, At: later}, got); diff != "" || err != nil {
				t.Errorf("%s a day later (-wanted +opened), %v:\n%s", name, err, diff)
			}
		} else if !errors.Is(err, ErrContinuation) {
			t.Errorf("%s opens a day later", name)
		}
		if _, err := OpenContinuation(plainSealer{}, "https://a.test", text, now.Add(RememberedTTL+1)); !errors.Is(err, ErrContinuation) {
			t.Errorf("%s opens a month later", name)
		}
	}
}

func TestATargetThatOutgrowsItsSealIsSaidToBeLost(t *testing.T) {
	for kind, want := range map[Kind]Kind{Return: TooLong, Window: Window, Lost: Lost, Kept: Kept} {
		c := Continuation{ID: "1", Kind: kind, Target: "/cases", Back: "/back", At: time.Now()}
		text, err := c.SealWithin(plainSealer{}, "x", 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenContinuation(plainSealer{}, "x", text, time.Now())
		if err != nil || got.Kind != want || got.Target != "/" || got.ID != "1" {
			t.Errorf("%s: %+v, %v; want %s", kind, got, err, want)
		}
	}
}
