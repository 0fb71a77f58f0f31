package audit

import (
	"regexp"
	"testing"
)

func TestNewReferenceCanBeReadOut(t *testing.T) {
	shape := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$`)
	seen := map[string]bool{}
	for range 1000 {
		ref := NewReference()
		if !shape.MatchString(ref) || seen[ref] || FoldReference(ref) != ref || cleanText(ref, maxWord) != ref {
			t.Fatalf("%q", ref)
		}
		seen[ref] = true
	}
}

func TestFoldReferenceForgivesWhatPeopleType(t *testing.T) {
	for typed, want := range map[string]string{
		"7kq49-xwm2c":    "7KQ49-XWM2C",
		" 7KQ49 XWM2C\n": "7KQ49-XWM2C",
		"7KQ49XWM2C":     "7KQ49-XWM2C",
		"oO1iL-00000":    "00111-00000",
		"something else": "something else",
		"":               "",
	} {
		if got := FoldReference(typed); got != want {
			t.Errorf("%q became %q, want %q", typed, got, want)
		}
	}
}
