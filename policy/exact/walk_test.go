package exact

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trie makes a trie of rules and returns its root, or none for no rules.
func trie(t *Table, rules []Rule) int32 {
	b := t.Build()
	for _, r := range rules {
		b.Add(r)
	}
	return b.Trie()
}

// written is a rule as a test writes it: a pattern, and a number.
func written(pattern string, says int32, methods uint64) Rule {
	r := Rule{Says: says, Methods: methods}
	segments := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	if pattern == "/" {
		return r
	}
	for i, s := range segments {
		switch {
		case s == "*" && i == len(segments)-1:
			r.Subtree = true
		case s == "*":
			r.Segments = append(r.Segments, Segment{Kind: Free})
		case strings.Contains(s, "*"):
			r.Segments = append(r.Segments, Segment{Kind: Globbed, Glob: strings.Split(s, "*")})
		default:
			r.Segments = append(r.Segments, Segment{Kind: Literal, Text: s})
		}
	}
	return r
}

// ranked is how a rule matches a path, one letter a segment, the better ones
// higher; not ok where it does not.
func (r Rule) ranked(path []string) (rank string, ok bool) {
	for i, s := range r.Segments {
		if i >= len(path) {
			return "", false
		}
		switch {
		case s.Kind == Free:
			rank += "1"
		case s.Kind == Globbed && s.Glob.Fits(path[i]):
			rank += "2"
		case s.Kind == Literal && s.Text == path[i]:
			rank += "3"
		default:
			return "", false
		}
	}
	if r.Subtree {
		return rank + "0", true
	}
	return rank + "9", len(path) == len(r.Segments)
}

// plainly decides about a path by trying every rule.
func plainly(rules []Rule, path []string, method int) []int32 {
	byRank := map[string][]Rule{}
	for _, r := range rules {
		if rank, ok := r.ranked(path); ok {
			byRank[rank] = append(byRank[rank], r)
		}
	}
	var ranks []string
	for rank := range byRank {
		ranks = append(ranks, rank)
	}
	slices.SortFunc(ranks, func(a, b string) int { return strings.Compare(b, a) })
	for _, rank := range ranks {
		byPattern := map[string]End{}
		for _, r := range byRank[rank] {
			key := fmt.Sprint(r.Segments)
			byPattern[key] = append(byPattern[key], Saying{Methods: r.Methods, Says: r.Says})
		}
		var says []int32
		for _, end := range byPattern {
			says = union(says, end.Ruling(method))
		}
		if len(says) > 0 {
			return says
		}
	}
	return nil
}

// decided is what a look-up comes to.
func (t *Table) decided(l LookUp, method int) []int32 {
	for _, tie := range l {
		var says []int32
		for _, id := range tie {
			says = union(says, t.End(id).Ruling(method))
		}
		if len(says) > 0 {
			return says
		}
	}
	return nil
}

const methods = 2 // that rules name, and one that none names

// TestWalkSaysOfEveryPathWhatTryingEveryRuleSays: what is said of cells is just
// what is said of the paths of a small world, by several sides at once.
func TestWalkSaysOfEveryPathWhatTryingEveryRuleSays(t *testing.T) {
	if testing.Short() {
		t.Skip("tries every path")
	}
	random := rand.New(rand.NewPCG(5, 6))
	word := func(words ...string) string { return words[random.IntN(len(words))] }
	rules := func() []Rule {
		var list []Rule
		for i := range 1 + random.IntN(6) {
			pattern := ""
			for range 1 + random.IntN(3) {
				pattern += "/" + word("a", "b", "ab", "a*", "*b", "*")
			}
			if random.IntN(3) == 0 {
				pattern += "/*"
			}
			list = append(list, written(pattern, int32(i), uint64(random.IntN(4))))
		}
		return list
	}
	var world [][]string
	for _, path := range textsUpTo("12345", 4) { // each digit is a segment
		var segments []string
		for _, digit := range path {
			segments = append(segments, []string{"a", "b", "ab", "q", "aq"}[digit-'1'])
		}
		world = append(world, segments)
	}
	for n := range 150 {
		table := NewTable(nil)
		both := [][]Rule{rules(), rules()}
		sides := []Side{{Paths: trie(table, both[0]), Queries: None}, {Paths: trie(table, both[1]), Queries: None}}
		want, got := map[string]string{}, map[string]string{}
		for _, path := range world {
			for m := range methods + 1 {
				want[fmt.Sprint(m, plainly(both[0], path, m), plainly(both[1], path, m))] = strings.Join(path, "/")
			}
		}
		found, complete := Walk(table, sides, Options{}, func(c Cell) []string {
			var said []string
			for m := range methods + 1 {
				key := fmt.Sprint(m)
				for _, here := range c.Sides {
					key += " " + fmt.Sprint(table.decided(here.LookUps[0], m))
				}
				said = append(said, strings.Replace(key, " ", "", 1))
			}
			return said
		})
		for _, f := range found {
			if !strings.HasSuffix(f.Path, "/") { // of those two look-ups hold
				got[f.Verdict] = f.Path
			}
		}
		for key, path := range want {
			key = strings.Replace(key, " ", "", 1)
			if _, ok := got[key]; !ok {
				t.Fatalf("%d: nothing says %s, as of %s: %v\n%v", n, key, path, got, both)
			}
		}
		for key, path := range got {
			segments := strings.Split(path[1:], "/")
			m := int(key[0] - '0')
			if plain := strings.Replace(fmt.Sprint(m, plainly(both[0], segments, m), plainly(both[1], segments, m)), " ", "", 1); path != "/" && plain != key {
				t.Fatalf("%d: of %s it says %s, and it is %s\n%v", n, path, key, plain, both)
			}
		}
		if !complete {
			t.Fatal("not complete")
		}
	}
}

// TestTableKeepsEqualTriesOnce: what two policies share has one number.
func TestTableKeepsEqualTriesOnce(t *testing.T) {
	table := NewTable(nil)
	list := []Rule{written("/a/*", 1, 0), written("/b/c*", 2, 1)}
	one := trie(table, list)
	slices.Reverse(list)
	if other := trie(table, list); other != one {
		t.Errorf("%d and %d", one, other)
	}
	if other := trie(table, list[:1]); other == one {
		t.Error("fewer rules make the same trie")
	}
	if trie(table, nil) != None {
		t.Error("no rules make a trie")
	}
	judged := 0
	found, complete := Walk(table, []Side{{Paths: one, Queries: None}, {Paths: one, Queries: None}}, Options{Same: true}, func(Cell) []int {
		judged++
		return []int{1}
	})
	if judged > 0 || len(found) > 0 || !complete {
		t.Errorf("%d cells judged of sides that are the same", judged)
	}
}

// TestWalkAsksScriptsForExactlyThemselves: /x.php/b is also a request for /x.php.
func TestWalkAsksScriptsForExactlyThemselves(t *testing.T) {
	table := NewTable([]Glob{{"", ".php"}})
	side := Side{Paths: trie(table, []Rule{written("/x.php", 1, 0), written("/b", 2, 0)}), Queries: None, Scripts: []Glob{{"", ".php"}}}
	found, _ := Walk(table, []Side{side}, Options{}, func(c Cell) []string {
		var says []int32
		for _, l := range c.Sides[0].Scripts {
			says = append(says, table.decided(l, 0)...)
		}
		return []string{fmt.Sprint(says)}
	})
	got := map[string]string{}
	for _, f := range found {
		got[f.Path] = f.Verdict
	}
	behind := ""
	for path, says := range got {
		if strings.HasPrefix(path, "/x.php/") && len(path) > len("/x.php/") {
			behind = says
		}
	}
	if diff := cmp.Diff("[1]", behind); diff != "" {
		t.Errorf("%s%v", diff, got)
	}
}

func TestRulingPrefersWhatNamesTheMethod(t *testing.T) {
	end := End{{Says: 1}, {Says: 2, Methods: 1}, {Says: 3, Methods: 3}}
	for method, want := range [][]int32{{2, 3}, {3}, {1}} {
		if diff := cmp.Diff(want, end.Ruling(method)); diff != "" {
			t.Errorf("method %d: %s", method, diff)
		}
	}
}

// TestWalkStopsAtItsBudget and says so.
func TestWalkStopsAtItsBudget(t *testing.T) {
	table := NewTable(nil)
	side := Side{Paths: trie(table, []Rule{written("/*/*/a", 1, 0), written("/b/*/c", 2, 0)}), Queries: None}
	if _, complete := Walk(table, []Side{side}, Options{Budget: 2}, func(Cell) []int { return nil }); complete {
		t.Error("complete after two steps")
	}
}
