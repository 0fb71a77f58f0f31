package policy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// This file judges paths a second time, the slow and plain way: every pattern
// is tried, and the best of those that match wins. The tree must agree.

// slowRank is how a pattern matches a path: one digit for each segment, a
// better one higher, and one for the end.
func slowRank(pattern string, path []string) (rank string, ok bool) {
	segments := strings.Split(pattern[1:], "/")
	if pattern == "/" {
		segments = nil
	}
	for i, s := range segments {
		if s == "*" && i == len(segments)-1 {
			return rank + "0", true
		}
		if i == len(path) {
			return "", false
		}
		switch {
		case s == "*":
			rank += "1"
		case strings.Contains(s, "*"):
			glob := strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, ".*")
			if !regexp.MustCompile("^(?s:" + glob + ")$").MatchString(path[i]) {
				return "", false
			}
			rank += "2"
		case s == path[i]:
			rank += "3"
		default:
			return "", false
		}
	}
	return rank + "9", len(segments) == len(path)
}

type slowRule struct {
	verb, level, method, pattern string
}

// slowNeeds is what a GET or another method of a path needs by the rules, in
// words that do not depend on order.
func slowNeeds(rules []slowRule, method, path string) string {
	paths := []string{path}
	if len(path) > 1 && strings.HasSuffix(path, "/") {
		paths = append(paths, strings.TrimSuffix(path, "/"))
	}
	var needs []string
	for _, path := range paths {
		var segments []string
		if path != "/" {
			segments = strings.Split(path[1:], "/")
		}
		found := slowLookUp(rules, method, segments)
		if found == nil {
			found = []string{"mfa"}
		}
		needs = append(needs, found...)
	}
	return slowWords(needs)
}

// slowWords is what is needed, in words that do not depend on order.
func slowWords(needs []string) string {
	slices.Sort(needs)
	needs = slices.Compact(needs)
	if slices.Contains(needs, "deny") {
		return "deny"
	}
	if len(needs) > 1 {
		needs = slices.DeleteFunc(needs, func(s string) bool { return s == "public" })
	}
	return strings.Join(needs, " ")
}

func slowLookUp(rules []slowRule, method string, path []string) []string {
	best, found := "", map[string][]slowRule{}
	for _, r := range rules {
		rank, ok := slowRank(r.pattern, path)
		if !ok || r.method != "" && r.method != method || rank < best {
			continue
		}
		if rank > best {
			best, found = rank, map[string][]slowRule{}
		}
		found[r.pattern] = append(found[r.pattern], r)
	}
	var needs []string
	for _, tied := range found {
		named := slices.ContainsFunc(tied, func(r slowRule) bool { return r.method != "" })
		for _, r := range tied {
			if named && r.method == "" {
				continue
			}
			if r.verb == "require" {
				needs = append(needs, r.level)
			} else {
				needs = append(needs, r.verb)
			}
		}
	}
	return needs
}

// slowScript is what rules for exactly a script add.
func slowScript(rules []slowRule, method, path string) []string {
	exact := slices.DeleteFunc(slices.Clone(rules), func(r slowRule) bool { return strings.HasSuffix(r.pattern, "/*") })
	return slowLookUp(exact, method, strings.Split(path[1:], "/"))
}

func TestScriptsAgreeWithTryingEveryPattern(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "x.php", "y.php", "*", "*.php", "x*"})
	plain := rapid.SampledFrom([]string{"a", "b", "x.php", "y.php", "X.php", "%78.php", "x.php;v", "x.php%2fa"})
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) slowRule {
			r := genRule.Draw(t, "rule")
			r.pattern = "/" + strings.Join(rapid.SliceOfN(segment, 1, 3).Draw(t, "segments"), "/")
			return r
		}), 0, 8).Draw(rt, "rules")
		p, method := slowPolicy(t, rules), genMethod.Draw(rt, "method")
		rs := read(t, "/"+strings.Join(rapid.SliceOfN(plain, 1, 4).Draw(rt, "path"), "/"))
		var needs []string
		for i := range rs.Len() {
			needs = append(needs, strings.Fields(slowNeeds(rules, method, rs.Path(i)))...)
			for script := range rs.Scripts(i) {
				needs = append(needs, slowScript(rules, method, script)...)
			}
		}
		want := slowWords(needs)
		d := p.Decide(&Request{Method: method, Target: rs})
		if got := slowWords(strings.Fields(says(p, d))); got != want {
			rt.Fatalf("%s %s needs %q, want %q", method, rs.RawPath(), got, want)
		}
	})
}

func (r slowRule) config() RuleConfig {
	c := RuleConfig{Verb: Verb(r.verb), Patterns: []string{r.pattern}}
	if r.verb == "require" {
		c.Levels = []string{r.level}
	}
	if r.method != "" {
		c.Methods = []string{r.method}
	}
	return c
}

func slowPolicy(t testing.TB, rules []slowRule) *Policy {
	t.Helper()
	c := configOf(t, "level a { accept totp }\nlevel b { accept sms }\nlevel c { accept email }")
	for _, r := range rules {
		c.Rules = append(c.Rules, r.config())
	}
	p, err := Compile(c, testOptions)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// treeNeeds says in slowNeeds' words what a policy says of one path, without
// readings between them.
func treeNeeds(p *Policy, method, path string) string {
	e := evaluation{policy: p, request: &Request{Method: method}}
	e.method = p.methodIndex(method)
	for _, path := range []string{path, strings.TrimSuffix(path, "/")} {
		if path != "" {
			e.lookUp(path, e.method)
		}
	}
	switch {
	case e.denied != nil:
		return "deny"
	case !e.private:
		return "public"
	}
	names := p.LevelNames(e.needed)
	slices.Sort(names)
	return strings.Join(names, " ")
}

var (
	genSegment = rapid.SampledFrom([]string{"a", "b", "ab", "ba", "aab", "*", "a*", "*b", "a*b", "*a*", "b*a*b"})
	genRule    = rapid.Custom(func(t *rapid.T) slowRule {
		segments := rapid.SliceOfN(genSegment, 0, 4).Draw(t, "segments")
		return slowRule{
			verb:    rapid.SampledFrom([]string{"require", "require", "require", "public", "deny"}).Draw(t, "verb"),
			level:   rapid.SampledFrom([]string{"a", "b", "c", "signed_in"}).Draw(t, "level"),
			method:  rapid.SampledFrom([]string{"", "", "GET", "POST", "DELETE"}).Draw(t, "method"),
			pattern: "/" + strings.Join(segments, "/"),
		}
	})
	genPath = rapid.Custom(func(t *rapid.T) string {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "ba", "aab", "baab", "c", ""}), 0, 5).Draw(t, "path")
		return "/" + strings.Join(segments, "/")
	})
	genMethod = rapid.SampledFrom([]string{"GET", "POST", "DELETE", "PUT"})
)

func TestTreeAgreesWithTryingEveryPattern(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(genRule, 0, 12).Draw(rt, "rules")
		p := slowPolicy(t, rules)
		for range 8 {
			method, path := genMethod.Draw(rt, "method"), genPath.Draw(rt, "path")
			if got, want := treeNeeds(p, method, path), slowNeeds(rules, method, path); got != want {
				rt.Fatalf("%s %s needs %q, want %q", method, path, got, want)
			}
		}
	})
}

func FuzzTreeAgreesWithTryingEveryPattern(f *testing.F) {
	f.Add("/a/*\n/a/*.b\n/a/c.b/*\n/*/c.b", "/a/c.b")
	f.Add("/x/\n/x\n/x/*", "/x/")
	f.Add("/*a*/b*/*\n/a*a/*\n/*/bb/c", "/aa/bb/c")
	f.Fuzz(func(t *testing.T, patterns, path string) {
		if !plainPath(path) || len(patterns) > 1<<10 {
			return
		}
		var rules []slowRule
		for i, pattern := range strings.Split(patterns, "\n") {
			if _, err := ParsePattern(pattern); err != nil || !plainPath(pattern) || len(pattern) > 1 && strings.HasSuffix(pattern, "/") {
				continue
			}
			rules = append(rules, slowRule{
				verb: "require", level: string("abc"[i%3]), method: []string{"", "", "POST"}[i/3%3], pattern: pattern,
			})
		}
		p := slowPolicy(t, rules)
		for _, method := range []string{"GET", "POST"} {
			if got, want := treeNeeds(p, method, path), slowNeeds(rules, method, path); got != want {
				t.Fatalf("%s %q by %q needs %q, want %q", method, path, rules, got, want)
			}
		}
	})
}

// plainPath tells whether folding leaves a path or pattern as it is.
func plainPath(s string) bool {
	return strings.HasPrefix(s, "/") && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-/*") == ""
}

func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"/", "/*", "/a/*/b", "/a?b=c*&d", "/a%2fb", "/%zz", "/**", "x", "/a/*/", "/caf%C3%A9/*.pdf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		if p.String() != text || !p.Covers(p) {
			t.Errorf("%q: written as %q, covers itself: %v", text, p.String(), p.Covers(p))
		}
		c := &Config{Rules: []RuleConfig{{Verb: VerbDeny, Patterns: []string{text}}}}
		if _, err := Compile(c, CompileOptions{}); err != nil {
			t.Errorf("%q parses and does not compile: %v", text, err)
		}
	})
}

func TestCoversIsInclusion(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := genRule.Draw(rt, "a").pattern, genRule.Draw(rt, "b").pattern
		p, err := ParsePattern(a)
		if err != nil {
			return
		}
		q, err := ParsePattern(b)
		if err != nil || !p.Covers(q) {
			return
		}
		path := strings.Split(genPath.Draw(rt, "path")[1:], "/")
		if _, ok := slowRank(b, path); !ok {
			return
		}
		if _, ok := slowRank(a, path); !ok {
			rt.Fatalf("%s covers %s, and not its %q", a, b, path)
		}
	})
}
