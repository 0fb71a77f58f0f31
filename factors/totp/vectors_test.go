package totp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

var rfcSeed = account.Secret("12345678901234567890")

// vectors reads a file of testdata, without its comments.
func vectors(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestCodesAreThoseOfRFC4226AppendixD(t *testing.T) {
	lines := vectors(t, "rfc4226_appendix_d.txt")
	if len(lines) != 10 {
		t.Fatalf("%d vectors", len(lines))
	}
	for _, line := range lines {
		var counter int64
		var want string
		if _, err := fmt.Sscan(line, &counter, &want); err != nil {
			t.Fatal(err)
		}
		if got, err := codeAt(rfcSeed, counter); err != nil || got != want {
			t.Errorf("counter %d: %s, want %s (%v)", counter, got, want, err)
		}
	}
}

func TestCodesAreThoseOfRFC6238AppendixB(t *testing.T) {
	lines := vectors(t, "rfc6238_appendix_b.txt")
	if len(lines) != 6 {
		t.Fatalf("%d vectors", len(lines))
	}
	for _, line := range lines {
		var seconds, step int64
		var eight string
		if _, err := fmt.Sscanf(line, "%d %x %s", &seconds, &step, &eight); err != nil {
			t.Fatal(err)
		}
		now := time.Unix(seconds, 0)
		if got := stepAt(now); got != step {
			t.Errorf("at %d: step %X, want %X", seconds, got, step)
		}
		got, matched, err := match(rfcSeed, eight[2:], now)
		if err != nil || !matched || got != step {
			t.Errorf("at %d: code %s gives %X, %v, %v", seconds, eight[2:], got, matched, err)
		}
	}
}

func TestOfTwoStepsWithOneCodeTheLaterIsUsedUp(t *testing.T) {
	const middle = 50897034 // the steps on both sides of it have one code
	before, _ := codeAt(rfcSeed, middle-1)
	after, _ := codeAt(rfcSeed, middle+1)
	if before != after {
		t.Fatalf("%s and %s differ", before, after)
	}
	step, matched, err := match(rfcSeed, before, time.Unix(middle*30, 0))
	if err != nil || !matched || step != middle+1 {
		t.Errorf("step %d, %v, %v", step, matched, err)
	}
}
