package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// colours reads the custom properties of one block of the style sheet.
func colours(t *testing.T, block string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+):\s*(#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		found[m[1]] = m[2]
	}
	return found
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 24)
	if err != nil {
		t.Fatalf("colour %q: %v", hex, err)
	}
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (math.Max(la, lb) + 0.05) / (math.Min(la, lb) + 0.05)
}

// WCAG 2.2 SC 1.4.3 (text, 4.5:1) and 1.4.11 (controls and focus, 3:1).
func TestColoursHaveContrastInBothSchemes(t *testing.T) {
	sheet, err := embedded.ReadFile("kit/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(sheet), "@media (prefers-color-scheme: dark)")
	darkBlock, _, _ := strings.Cut(rest, "\n}\n")
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"ink", "page", 4.5}, {"ink", "card", 4.5}, {"ink", "soft", 4.5}, {"ink", "wrong-soft", 4.5},
		{"muted", "page", 4.5}, {"muted", "card", 4.5},
		{"accent", "page", 4.5}, {"accent", "card", 4.5}, {"accent", "soft", 4.5},
		{"accent-strong", "page", 4.5}, {"accent-strong", "card", 4.5}, {"accent-strong", "soft", 4.5},
		{"on-accent", "accent", 4.5}, {"on-accent", "accent-strong", 4.5}, {"on-wrong", "wrong", 4.5},
		{"wrong", "card", 4.5}, {"wrong", "wrong-soft", 4.5}, {"warn", "warn-soft", 4.5}, {"done", "done-soft", 4.5},
		{"control", "card", 3}, {"control", "page", 3}, {"focus", "card", 3}, {"focus", "page", 3},
	}
	for scheme, block := range map[string]string{"light": light, "dark": darkBlock} {
		c := colours(t, block)
		for _, p := range pairs {
			if got := contrast(t, c[p.front], c[p.back]); got < p.least {
				t.Errorf("%s: %s on %s is %.2f:1, want %.1f", scheme, p.front, p.back, got, p.least)
			}
		}
	}
}
