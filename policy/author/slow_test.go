package author

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy/target"
)

// This file judges requests a second time, the slow and plain way, from the
// contract alone: every pattern is tried on every path of a small world, and
// every set of proofs on what is needed. Diff must agree with it.

var pairs = flag.Int("pairs", 300, "how many random pairs of policies are compared")

type slowRule struct {
	verb, level, method, path, query, group string
	raise                                   slowRaise
}

// slowRaise is a level, and conditions that must all hold; without a level it
// is none.
type slowRaise struct {
	level      string
	conditions []string
}

type slowPolicy struct {
	rules    []slowRule
	raises   []slowRaise
	fallback string
	// ranks remembers slowRank of each rule, by path.
	ranks map[string][]slowMatch
}

type slowMatch struct {
	rank string
	ok   bool
}

func (p *slowPolicy) matches(path string) []slowMatch {
	list, known := p.ranks[path]
	if known {
		return list
	}
	var segments []string
	if path != "/" {
		segments = strings.Split(path[1:], "/")
	}
	for _, rule := range p.rules {
		rank, ok := slowRank(rule.path, segments)
		list = append(list, slowMatch{rank, ok})
	}
	if p.ranks == nil {
		p.ranks = map[string][]slowMatch{}
	}
	p.ranks[path] = list
	return list
}

type slowRequest struct {
	method, path, query, group, risk, device string
}

const slowLevels = `level key { accept webauthn }
level both { accept totp+pin }
level fresh { accept totp; max_age 10m }
level pay { accept totp webauthn; once }
level mfa { accept totp webauthn }
`

// slowProofs are sets of proofs, each a word.
var slowProofs = func() [][]string {
	var sets [][]string
	for _, totp := range []string{"", "totp", "totp fresh-totp"} {
		for bits := range 8 {
			set := strings.Fields(totp)
			for i, word := range []string{"webauthn", "pin", "pay"} {
				if bits&(1<<i) != 0 {
					set = append(set, word)
				}
			}
			sets = append(sets, set)
		}
	}
	return sets
}()

func slowMeets(level string, proofs []string) bool {
	has := func(word string) bool { return slices.Contains(proofs, word) }
	switch level {
	case "signed_in":
		return true
	case "mfa":
		return has("totp") || has("webauthn")
	case "key", "phishing_resistant":
		return has("webauthn")
	case "both":
		return has("totp") && has("pin")
	case "fresh":
		return has("fresh-totp")
	case "pay":
		return has("pay")
	default:
		return false
	}
}

// passes tells whether somebody passes who has these proofs; nil stands for
// nobody.
func slowPasses(needs []string, proofs []string) bool {
	for _, level := range needs {
		if level == "public" {
			continue
		}
		if level == "deny" || proofs == nil || !slowMeets(level, proofs) {
			return false
		}
	}
	return true
}

// slowWeaker tells whether some proofs, or nobody, pass the one and not the
// other.
func slowWeaker(is, was []string) bool {
	return slices.ContainsFunc(append([][]string{nil}, slowProofs...), func(proofs []string) bool {
		return slowPasses(is, proofs) && !slowPasses(was, proofs)
	})
}

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
		before, after, starred := strings.Cut(s, "*")
		switch {
		case s == "*":
			rank += "1"
		case starred:
			if len(path[i]) < len(before)+len(after) || !strings.HasPrefix(path[i], before) || !strings.HasSuffix(path[i], after) {
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

func (p *slowPolicy) needs(r slowRequest) []string {
	var needs []string
	paths := []string{r.path}
	if len(r.path) > 1 && strings.HasSuffix(r.path, "/") {
		paths = append(paths, strings.TrimSuffix(r.path, "/"))
	}
	for _, path := range paths {
		needs = append(needs, p.lookUp(r, p.matches(path))...)
	}
	if slices.ContainsFunc(needs, func(s string) bool { return s != "public" }) {
		for _, a := range p.raises {
			needs = append(needs, a.adds(r)...)
		}
	}
	return needs
}

func (p *slowPolicy) lookUp(r slowRequest, matches []slowMatch) []string {
	best, tied := "", []slowRule{}
	var needs []string
	for i, rule := range p.rules {
		rank := matches[i].rank
		if !matches[i].ok || rule.method != "" && rule.method != r.method {
			continue
		}
		if rule.query != "" {
			if slowQuery(rule.query, r.query) {
				needs = append(needs, rule.says(r)...)
			}
			continue
		}
		if rank > best {
			best, tied = rank, nil
		}
		if rank == best {
			tied = append(tied, rule)
		}
	}
	if len(tied) == 0 {
		return append(needs, p.fallback)
	}
	byPattern := map[string]bool{}
	for _, rule := range tied {
		byPattern[rule.path] = byPattern[rule.path] || rule.method != ""
	}
	for _, rule := range tied {
		if byPattern[rule.path] == (rule.method != "") {
			needs = append(needs, rule.says(r)...)
		}
	}
	return needs
}

func slowQuery(pattern, query string) bool {
	name, glob, _ := strings.Cut(pattern, "=")
	for _, field := range strings.Split(query, "&") {
		n, value, _ := strings.Cut(field, "=")
		before, after, starred := strings.Cut(glob, "*")
		if n == name && query != "" && (!starred && value == glob ||
			starred && len(value) >= len(before)+len(after) && strings.HasPrefix(value, before) && strings.HasSuffix(value, after)) {
			return true
		}
	}
	return false
}

func (r slowRule) says(q slowRequest) []string {
	if r.verb != "require" {
		return []string{r.verb}
	}
	needs := append([]string{r.level}, r.raise.adds(q)...)
	if r.group != "" && r.group != q.group {
		needs = append(needs, "deny")
	}
	return needs
}

func (a slowRaise) adds(r slowRequest) []string {
	if a.level == "" {
		return nil
	}
	for _, c := range a.conditions {
		positive, not := strings.CutPrefix(c, "not ")
		var holds bool
		switch positive {
		case "risk high":
			holds = r.risk == "high"
		case "risk medium":
			holds = r.risk == "high" || r.risk == "medium"
		case "device private":
			holds = r.device == "private"
		case "group g":
			holds = r.group == "g"
		case "method POST":
			holds = r.method == "POST"
		}
		missing := r.risk == "" && strings.HasPrefix(positive, "risk") || r.device == "" && strings.HasPrefix(positive, "device")
		if holds == not && !missing {
			return nil
		}
	}
	return []string{a.level}
}

// lines writes the policy as the tests do.
func (p *slowPolicy) lines() string {
	var b strings.Builder
	b.WriteString(slowLevels + "default " + p.fallback + "\n")
	raise := func(a slowRaise) string { return "raise " + a.level }
	for _, r := range p.rules {
		words := []string{r.verb, r.level, r.method, r.path}
		if r.query != "" {
			words[3] += "?" + r.query
		}
		block := ""
		if r.group != "" {
			block += "group " + r.group + "; "
		}
		if r.raise.level != "" {
			block += raise(r.raise) + " when " + r.raise.conditions[0] + "; "
		}
		if block != "" {
			words = append(words, "{ "+block+"}")
		}
		b.WriteString(strings.Join(strings.Fields(strings.Join(words, " ")), " ") + "\n")
	}
	for _, a := range p.raises {
		fmt.Fprintf(&b, "%s { %s }\n", raise(a), strings.Join(a.conditions, "; "))
	}
	return b.String()
}

type dice struct{ *rand.Rand }

func (d dice) word(words ...string) string { return words[d.IntN(len(words))] }

func (d dice) policy() *slowPolicy {
	p := &slowPolicy{fallback: d.word("mfa", "mfa", "signed_in", "deny", "public")}
	for range d.IntN(6) {
		p.rules = append(p.rules, d.rule())
	}
	for range d.IntN(3) {
		p.raises = append(p.raises, d.raise(1+d.IntN(2)))
	}
	return p
}

func (d dice) raise(conditions int) slowRaise {
	a := slowRaise{level: d.word("key", "mfa", "fresh", "pay")}
	for range conditions {
		a.conditions = append(a.conditions, d.word("", "not ")+d.word("risk high", "risk medium", "device private", "group g", "method POST"))
	}
	return a
}

func (d dice) rule() slowRule {
	r := slowRule{verb: d.word("require", "require", "require", "public", "deny")}
	for range 1 + d.IntN(3) {
		r.path += "/" + d.word("a", "b", "ab", "a*", "*b", "*")
	}
	if d.IntN(3) == 0 && r.path != "/*" {
		r.path += "/*"
	}
	if d.IntN(10) == 0 {
		r.path = "/"
	}
	r.method = d.word("", "", "GET", "POST")
	if r.verb != "public" && d.IntN(5) == 0 {
		r.query = d.word("x=1", "x=1*", "x=*2", "x=*", "y=1")
	}
	if r.verb == "require" {
		r.level = d.word("signed_in", "mfa", "key", "both", "fresh", "pay")
		r.group = d.word("", "", "", "", "g", "h")
		if d.IntN(6) == 0 {
			r.raise = d.raise(1)
		}
	}
	return r
}

// changed is the policy with one or two things done to it.
func (d dice) changed(p *slowPolicy) *slowPolicy {
	out := &slowPolicy{rules: slices.Clone(p.rules), raises: slices.Clone(p.raises), fallback: p.fallback}
	for range 1 + d.IntN(2) {
		switch at := d.IntN(len(out.rules) + 1); {
		case d.IntN(8) == 0:
			out.fallback = d.word("mfa", "signed_in", "deny")
		case d.IntN(8) == 0 && len(out.raises) > 0:
			out.raises = out.raises[1:]
		case at == len(out.rules) || d.IntN(2) == 0:
			out.rules = append(out.rules, d.rule())
		case d.IntN(2) == 0:
			out.rules = slices.Delete(out.rules, at, at+1)
		default:
			out.rules[at] = d.rule()
		}
	}
	return out
}

// world is every request of a small world.
var world = func() []slowRequest {
	var paths []string
	level := []string{""}
	for range 3 {
		var next []string
		for _, p := range level {
			for _, s := range []string{"a", "b", "ab", "q", "aq"} {
				next = append(next, p+"/"+s)
			}
		}
		paths, level = append(paths, next...), next
	}
	for _, p := range slices.Clone(paths) {
		paths = append(paths, p+"/")
	}
	paths = append(paths, "/")
	var all []slowRequest
	for _, path := range paths {
		for _, method := range []string{"GET", "POST", "PURGE"} {
			all = append(all, slowRequest{method: method, path: path})
		}
	}
	return all
}()

// cases are the circumstances of the world: what random policies tell apart.
func (p *slowPolicy) cases(o *slowPolicy) []slowRequest {
	list := []slowRequest{{risk: "low", device: "unknown"}}
	vary := func(values []string, set func(*slowRequest, string)) {
		var more []slowRequest
		for _, r := range list {
			for _, v := range values {
				set(&r, v)
				more = append(more, r)
			}
		}
		list = more
	}
	text := p.lines() + o.lines()
	if strings.Contains(text, "risk") {
		vary([]string{"low", "medium", "high"}, func(r *slowRequest, v string) { r.risk = v })
	}
	if strings.Contains(text, "device") {
		vary([]string{"unknown", "private"}, func(r *slowRequest, v string) { r.device = v })
	}
	if strings.Contains(text, "group") {
		vary([]string{"", "g", "h"}, func(r *slowRequest, v string) { r.group = v })
	}
	if strings.Contains(text, "?") {
		vary([]string{"", "x=1", "x=12", "x=2", "x=13", "x=q", "y=1"}, func(r *slowRequest, v string) { r.query = v })
	}
	return list
}

// plainSiteOf is a site that takes nothing for a script: the slow judge knows
// none.
func plainSiteOf(t *testing.T, text string) *Site {
	s := siteOf(t, text)
	var err error
	if s.Reader, err = target.NewReader(target.Options{Scripts: []string{"no.script"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// slowOf is a change's request as the slow judge has them.
func slowOf(t *testing.T, c Change) slowRequest {
	t.Helper()
	f := c.facts
	path, query, _ := strings.Cut(f.Target, "?")
	r := slowRequest{method: f.Method, path: path, query: query, risk: f.Risk.String(), device: string(f.Device), group: strings.Join(f.Groups, "+")}
	return r
}

// TestDiffMissesNothingAndSaysNothingFalse compares random pairs of policies
// and asks a judge that knows nothing of tries and automata.
func TestDiffMissesNothingAndSaysNothingFalse(t *testing.T) {
	random := dice{rand.New(rand.NewPCG(13, 2))}
	weakenings, undecided := 0, 0
	for n := range *pairs {
		was := random.policy()
		is := random.changed(was)
		if n%10 == 0 {
			is = random.policy()
		}
		d, err := Diff(plainSiteOf(t, was.lines()), plainSiteOf(t, is.lines()), noon)
		if err != nil || !d.Complete {
			t.Fatalf("%v, complete %v:\n%s--\n%s", err, d.Complete, was.lines(), is.lines())
		}
		for _, c := range d.Changes {
			r := slowOf(t, c)
			if c.Direction == Undecided {
				undecided++
				continue
			}
			if strings.Contains(r.group, "+") || strings.Contains(c.Request, "--header") || strings.Contains(c.Request, "/cgi-bin/") {
				continue // the slow judge's people are in one group at most, claim no method, and know no scripts
			}
			weaker, stronger := slowWeaker(is.needs(r), was.needs(r)), slowWeaker(was.needs(r), is.needs(r))
			if weaker != (c.Direction != Stronger) || stronger != (c.Direction != Weaker) {
				t.Fatalf("%s of %+v, but weaker %v, stronger %v:\n%s--\n%s", c.line(), r, weaker, stronger, was.lines(), is.lines())
			}
		}
		for _, method := range []string{"GET", "POST", "PURGE"} {
			if r, ok := slowWeakening(was, is, method); ok {
				weakenings++
				if !slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Direction.MayWeaken() && c.forMethod(method) }) {
					t.Fatalf("missed that %+v needs %v and no more %v:\n%s--\n%s", r, is.needs(r), was.needs(r), was.lines(), is.lines())
				}
			}
		}
	}
	t.Logf("%d pairs, weaker by %d methods, %d changes undecided", *pairs, weakenings, undecided)
}

func (c Change) forMethod(method string) bool {
	return len(c.Methods) == 0 || slices.Contains(c.Methods, method) || slices.Contains(c.Methods, "*")
}

func slowWeakening(was, is *slowPolicy, method string) (slowRequest, bool) {
	for _, one := range was.cases(is) {
		for _, r := range world {
			if r.method != method {
				continue
			}
			r.query, r.group, r.risk, r.device = one.query, one.group, one.risk, one.device
			if a, b := is.needs(r), was.needs(r); !slices.Equal(a, b) && slowWeaker(a, b) {
				return r, true
			}
		}
	}
	return slowRequest{}, false
}
