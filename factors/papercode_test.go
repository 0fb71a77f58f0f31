package factors_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stepgate/stepgate/factors"
)

func TestPaperCodeIsReadHoweverItIsSpelt(t *testing.T) {
	for typed, want := range map[string]string{
		"0123-4567":              "0123-4567",
		" o i23 4567 ":           "0123-4567",
		"OL23\u20114567":         "0123-4567",
		"abcdEFGH":               "ABCD-EFGH",
		"0123-456":               "",
		"0123-45678":             "",
		"0123-456U":              "",
		"":                       "",
		strings.Repeat("-", 999): "",
		"0123-456\u0660":         "",
	} {
		if got, ok := factors.ReadPaperCode(typed, 2); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", typed, got, ok, want)
		}
	}
}

func TestPaperCodesReadBackAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(3, 6).Draw(t, "groups")
		code := factors.NewPaperCode(groups)
		if len(code) != 5*groups-1 || seen[code] {
			t.Fatalf("code %q", code)
		}
		seen[code] = true
		plain := strings.ToLower(strings.ReplaceAll(code, "-", ""))
		if got, ok := factors.ReadPaperCode(plain, groups); !ok || got != code {
			t.Fatalf("%q read as %q", code, got)
		}
	})
}

func TestLabelIsShortAndPrintable(t *testing.T) {
	for typed, want := range map[string]string{
		"  Work key\u202e\n ":    "Work key",
		strings.Repeat("é", 100): strings.Repeat("é", 60),
		"\x00\ufffd":             "",
	} {
		if got := factors.CleanLabel(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
