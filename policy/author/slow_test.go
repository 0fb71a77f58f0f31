package author

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// This file judges requests a second time, the slow and plain way, from the
// contract alone: every pattern is tried on every path of a small world, and
// every set of proofs on what is needed. Diff must agree with it.

var (
	pairs    = flag.Int("pairs", 60, "how many random pairs of policies are compared")
	pairSeed = flag.Uint64("pair-seed", 2, "what the random pairs begin with")
)

type slowRule struct {
	verb, level, method, path, query, group, user string
	raise                                         slowRaise
	// aged says that proofs are no older than ten minutes, ends that the rule
	// weakens nothing from some day on.
	aged, ends bool
}

// lastDay is that on which rules that end hold by themselves.
const lastDay = "2026-04-01"

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
	// known remembers what looks found.
	known map[string][]slowLook
}

type slowMatch struct {
	rank string
	ok   bool
}

// slowLook is a path that a request is looked up as: how each rule matches it.
// Exactly leaves out what says something of paths below it too.
type slowLook struct {
	matches []slowMatch
	exactly bool
}

func (p *slowPolicy) matches(path string) []slowMatch {
	var segments []string
	if path != "/" {
		segments = strings.Split(path[1:], "/")
	}
	list := make([]slowMatch, len(p.rules))
	for i, rule := range p.rules {
		list[i].rank, list[i].ok = slowRank(rule.path, segments)
	}
	return list
}

// looks are all that a request of this path is looked up as. What stands behind
// a script is a path of its own.
func (p *slowPolicy) looks(path string) []slowLook {
	list, known := p.known[path]
	if known {
		return list
	}
	readings := []string{path}
	for _, script := range slowScripts(path) {
		readings = append(readings, path[len(script):])
	}
	for _, reading := range readings {
		list = append(list, slowLook{p.matches(reading), false})
		if len(reading) > 1 && strings.HasSuffix(reading, "/") {
			list = append(list, slowLook{p.matches(strings.TrimSuffix(reading, "/")), false})
		}
		for _, script := range slowScripts(reading) {
			list = append(list, slowLook{p.matches(script), true})
		}
	}
	if p.known == nil {
		p.known = map[string][]slowLook{}
	}
	p.known[path] = list
	return list
}

type slowRequest struct {
	method, path, query, group, user, risk, device, country string
	// ended is set behind lastDay.
	ended bool
}

// slowScripts are the beginnings of a path that run as scripts.
func slowScripts(path string) []string {
	var list []string
	for at := 1; ; {
		end := strings.IndexByte(path[at:], '/')
		if end < 0 {
			return list
		}
		if strings.HasSuffix(path[at:at+end], ".php") {
			list = append(list, path[:at+end])
		}
		at += end + 1
	}
}

// lookUp is what holds for a path.
func (p *slowPolicy) lookUp(r slowRequest, look slowLook) []string {
	var needs []string
	var left []int
	for i, rule := range p.rules {
		switch {
		case !look.matches[i].ok || rule.method != "" && rule.method != r.method || look.exactly && strings.HasSuffix(rule.path, "/*"):
		case rule.query == "":
			left = append(left, i)
		case slowQuery(rule.query, r.query):
			needs = append(needs, rule.says(r)...)
		}
	}
	// The most specific decide; where all of a pattern have ended, so does
	// what would hold without them.
	for len(left) > 0 {
		best := ""
		for _, i := range left {
			best = max(best, look.matches[i].rank)
		}
		byPattern := map[string][]slowRule{}
		for _, i := range left {
			if look.matches[i].rank == best {
				byPattern[p.rules[i].path] = append(byPattern[p.rules[i].path], p.rules[i])
			}
		}
		left = slices.DeleteFunc(left, func(i int) bool { return look.matches[i].rank == best })
		decided := false
		for _, rules := range byPattern {
			says, ended := slowTied(rules, r)
			needs = append(needs, says...)
			decided = decided || !ended
		}
		if decided {
			return needs
		}
	}
	if !look.exactly {
		needs = append(needs, p.fallback)
	}
	return needs
}

// slowTied is what rules of one pattern say: those of the method, or else
// those of none; and where they have ended, those of none as well. ended tells
// that all that said something have ended.
func slowTied(rules []slowRule, r slowRequest) (says []string, ended bool) {
	for _, named := range []bool{true, false} {
		some, all := false, true
		for _, rule := range rules {
			if (rule.method != "") == named {
				says = append(says, rule.says(r)...)
				some, all = true, all && rule.ends && r.ended
			}
		}
		if some && !all {
			return says, false
		}
	}
	return says, true
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
	level := r.level
	if r.aged {
		level += agedMark
	}
	needs := append([]string{level}, r.raise.adds(q)...)
	if r.group+r.user != "" && (r.group == "" || r.group != q.group) && (r.user == "" || r.user != q.user) {
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
		case "country GB":
			holds = r.country == "GB"
		}
		missing := r.risk == "" && strings.HasPrefix(positive, "risk") || r.device == "" && strings.HasPrefix(positive, "device") ||
			r.country == "" && strings.HasPrefix(positive, "country")
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
		if r.user != "" {
			block += "user " + r.user + "; "
		}
		if r.aged {
			block += "max_age 10m; "
		}
		if r.ends {
			block += "until " + lastDay + "; "
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

// plainSiteOf is a site that takes nothing but *.php for a script, as the slow
// judge does.
func plainSiteOf(t *testing.T, text string) *Site {
	s := siteOf(t, text)
	var err error
	if s.Reader, err = target.NewReader(target.Options{Scripts: []string{"*.php"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// slowOf is a change's request as the slow judge has them.
func slowOf(t *testing.T, c Change) slowRequest {
	t.Helper()
	f := c.facts
	path, query, _ := strings.Cut(f.Target, "?")
	r := slowRequest{
		method: f.Method, path: path, query: query, risk: f.Risk.String(), device: string(f.Device), group: strings.Join(f.Groups, "+"),
		user: f.Username, country: f.Country, ended: f.Now.Format(time.DateOnly) > lastDay,
	}
	return r
}

// TestDiffMissesNothingAndSaysNothingFalse compares random pairs of policies
// and asks a judge that knows nothing of tries and automata: on methods, queries,
// groups, people, countries, ages, days on which rules end, and what stands
// behind scripts.
func TestDiffMissesNothingAndSaysNothingFalse(t *testing.T) {
	if testing.Short() {
		t.Skip("compares policies request by request")
	}
	random := dice{rand.New(rand.NewPCG(13, *pairSeed))}
	weakenings, undecided := 0, 0
	for n := range *pairs {
		if n%250 == 0 && n > 0 {
			fmt.Printf("%d of %d pairs from seed %d, weaker by %d methods, %d changes undecided\n", n, *pairs, *pairSeed, weakenings, undecided)
		}
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
				continue // the slow judge's people are in one group at most, claim no method, and know no script but *.php
			}
			weaker, stronger := slowWeaker(is.needs(r), was.needs(r)), slowWeaker(was.needs(r), is.needs(r))
			if weaker != (c.Direction != Stronger) || stronger != (c.Direction != Weaker) {
				t.Fatalf("%s of %+v, but weaker %v, stronger %v:\n%s--\n%s", c.line(), r, weaker, stronger, was.lines(), is.lines())
			}
		}
		paths := was.apart(is)
		for _, method := range []string{"GET", "POST", "PURGE"} {
			if r, ok := slowWeakening(was, is, paths, method); ok {
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

func slowWeakening(was, is *slowPolicy, paths []string, method string) (slowRequest, bool) {
	for _, r := range was.cases(is) {
		for _, path := range paths {
			r.method, r.path = method, path
			if a, b := is.needs(r), was.needs(r); !slices.Equal(a, b) && slowWeaker(a, b) {
				return r, true
			}
		}
	}
	return slowRequest{}, false
}
