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

func TestNormaliseTakesOutBlanksAndDashesOnly(t *testing.T) {
	for typed, want := range map[string]string{
		"123456":                               "123456",
		" 123 456\r\n":                         "123456",
		"123-456":                              "123456",
		"123\u00a0456":                         "123456",
		"123\u2009456":                         "123456",
		"12\u201334\u201456":                   "123456",
		"1\u22122\u20113 4-5\t6":               "123456",
		"000000":                               "000000",
		"":                                     "",
		"12345":                                "",
		"1234567":                              "",
		"12345a":                               "",
		"\uff11\uff12\uff13\uff14\uff15\uff16": "",
		"\u0661\u0662\u0663\u0664\u0665\u0666": "",
		"12345\uff16":                          "",
		"+123456":                              "",
		"123.456":                              "",
		"\u00b2\u00b212":                       "",
		"123456\x00":                           "",
		"123\u200b456":                         "",
		"123456\xff":                           "",
		strings.Repeat(" ", 60) + "123456":     "",
	} {
		got, ok := normalise(typed)
		if ok != (want != "") || (ok && got != want) {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"123456", "123 456", "\uff11\uff12\uff13\uff14\uff15\uff16", "12\u201334\u201456", "\xff123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := normalise(typed)
		if !ok {
			return
		}
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q gives %q", typed, code)
		}
		// The digits are those that were typed, in their order.
		rest := typed
		for _, d := range code {
			_, after, found := strings.Cut(rest, string(d))
			if !found {
				t.Fatalf("%q gives %q", typed, code)
			}
			rest = after
		}
		if again, ok := normalise(code); !ok || again != code {
			t.Fatalf("%q is not stable", code)
		}
	})
}
