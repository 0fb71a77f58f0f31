package exact

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts lists all texts of an alphabet up to a length.
func textsUpTo(alphabet string, length int) []string {
	all, last := []string{}, []string{""}
	for range length {
		var next []string
		for _, text := range last {
			for _, r := range alphabet {
				next = append(next, text+string(r))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// randomGlob has up to three pieces of a and b.
func randomGlob(random *rand.Rand) Glob {
	var g Glob
	for range 2 + random.IntN(2) {
		piece := ""
		for range random.IntN(3) {
			piece += string("ab"[random.IntN(2)])
		}
		g = append(g, piece)
	}
	return g
}

func TestGlobFitsAsARegularExpression(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := textsUpTo("ab", 6)
	for range 200 {
		g := randomGlob(random)
		re := regexp.MustCompile("^" + strings.Join(g, ".*") + "$")
		for _, text := range all {
			if g.Fits(text) != re.MatchString(text) {
				t.Fatalf("%s fits %s: %v", g, text, g.Fits(text))
			}
		}
	}
	if one := (Glob{"ab"}); !one.Fits("ab") || one.Fits("abb") || one.Fits("") {
		t.Error("a glob without a star is not just its text")
	}
}

// TestTextsMissNoCombination: whatever globs some short text fits together,
// there is a text that fits just them, and one that is not taken.
func TestTextsMissNoCombination(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	fits := func(globs []Glob, text string) string {
		var b strings.Builder
		for _, g := range globs {
			fmt.Fprint(&b, g.Fits(text), " ")
		}
		return b.String()
	}
	for range 60 {
		var globs []Glob
		for range 1 + random.IntN(4) {
			globs = append(globs, randomGlob(random))
		}
		taken := func(text string) bool { return len(text) == 1 }
		list, complete := Texts(globs, taken)
		if !complete {
			t.Fatalf("%s: not complete", globs)
		}
		have := map[string]string{}
		for _, text := range list {
			key := fits(globs, text)
			if other, twice := have[key]; twice || text == "" || taken(text) {
				t.Errorf("%s: %q, beside %q", globs, text, other)
			}
			have[key] = text
		}
		for _, text := range textsUpTo("abq", 5) {
			if key := fits(globs, text); have[key] == "" && !taken(text) {
				t.Fatalf("%s: no text is like %q: %s", globs, text, list)
			}
		}
	}
}

// TestTextsSayWhatTheyLeaveOut rather than take for ever.
func TestTextsSayWhatTheyLeaveOut(t *testing.T) {
	if testing.Short() {
		t.Skip("gives up only after much work")
	}
	var many, tangled []Glob
	for i := range maxGlobs + 1 {
		many = append(many, Glob{fmt.Sprint("x", i), ""})
	}
	for _, letter := range "abcdefghijklmnop" {
		tangled = append(tangled, Glob{"", string(letter) + "1", string(letter) + "2", string(letter) + "3", ""})
	}
	for _, globs := range [][]Glob{many, tangled} {
		list, complete := Texts(globs, func(string) bool { return false })
		if complete || len(list) < 2 || slices.Contains(list, "") {
			t.Errorf("complete %v, %d texts", complete, len(list))
		}
	}
	if list, complete := Texts([]Glob{{"a", ""}}, func(text string) bool { return strings.HasPrefix(text, "a") }); complete || len(list) != 1 {
		t.Errorf("all that fits is taken: %s, %v", list, complete)
	}
}
