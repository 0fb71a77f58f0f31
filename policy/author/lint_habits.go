package author

import (
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// habits finds what is allowed and seldom meant.
func (l *linter) habits() {
	seen := map[string]bool{}
	for i, r := range l.rules {
		l.widePublic(r)
		l.likeRegexp(r)
		l.ownPages(r)
		l.sessionInPath(r)
		if key := r.Position().String() + r.Pattern().String(); !seen[key] {
			seen[key] = true
			l.methodGap(r)
		}
		if i == 0 || r.Position() != l.rules[i-1].Position() {
			l.ending(r)
		}
	}
	l.unknownMethods()
	for _, raise := range l.policy.Raises() {
		l.raiseHabits(raise, nil)
	}
	for i, r := range l.rules {
		if i > 0 && r.Position() == l.rules[i-1].Position() {
			continue
		}
		for _, raise := range r.Raises() {
			l.raiseHabits(raise, r)
		}
	}
	for _, level := range l.policy.Levels() {
		l.ages(level)
	}
}

// widePublic finds `public` rules of which the first segment is open.
func (l *linter) widePublic(r *policy.Rule) {
	p := r.Pattern()
	parts := p.Parts()
	if r.Verb() != policy.VerbPublic || len(parts) == 0 && !p.Subtree() || len(parts) > 0 && len(parts[0].Pieces) == 1 {
		return
	}
	where := "in every folder that the app has or will have"
	if len(parts) == 1 && !p.Subtree() {
		where = "for whatever is called so at the root, now or after an upgrade"
	}
	l.add(CodePublicWide, r.Position(), "name the folders or the files: `public /assets/*` rather than whatever begins or ends so",
		"`%s` is public %s, such as %s", l.written(r), where, rawPath(l.pathsOf(r)[len(l.pathsOf(r))-1]))
}

// likeRegexp finds patterns that look like regular expressions.
func (l *linter) likeRegexp(r *policy.Rule) {
	path, _, _ := strings.Cut(r.Pattern().String(), "?")
	if strings.ContainsAny(path, "[]^$|(") || strings.HasSuffix(path, "+") {
		l.add(CodeRegexp, r.Position(), "write `*` for one free segment, `/*` at the end for a subtree; a path that has these characters is written with %-encodings",
			"`%s` is no regular expression: its characters stand for themselves", l.written(r))
	}
}

// ownPages finds rules about the gateway's own pages.
func (l *linter) ownPages(r *policy.Rule) {
	prefix := strings.ToLower(l.site.Prefix)
	if prefix == "" {
		return
	}
	if path := strings.ToLower(r.Pattern().String()); path == prefix || strings.HasPrefix(path, prefix+"/") {
		l.add(CodeOwnPages, r.Position(), "remove it", "`%s` is about the gateway's own pages, about which no rule is asked", l.written(r))
	}
}

// sessionInPath tells how an exact public page of a Java app is reached with
// a session in its path.
func (l *linter) sessionInPath(r *policy.Rule) {
	path := strings.ToLower(r.Pattern().String())
	if r.Verb() != policy.VerbPublic || r.Pattern().Subtree() || strings.Contains(path, "*") || strings.Contains(path, ";") {
		return
	}
	for _, ending := range []string{".jsp", ".do", ".action", ".faces", ".jsf"} {
		if strings.HasSuffix(path, ending) {
			l.note(CodeSessionInPath, r.Position(), "where the app writes sessions into links, add `"+r.Pattern().String()+";*`",
				"`%s` is public without parameters only: `%s;jsessionid=1` is read as a page of its own as well, which no rule names", l.written(r), r.Pattern())
		}
	}
}

// writes are the methods that change something.
var writes = []string{"POST", "PUT", "PATCH", "DELETE"}

// methodGap finds rules of some methods that write which leave others to a
// weaker rule.
func (l *linter) methodGap(r *policy.Rule) {
	named := slices.DeleteFunc(slices.Clone(writes), func(m string) bool { return !slices.Contains(r.Methods(), m) })
	if len(named) < 2 || len(named) == len(writes) || r.Pattern().Queried() || r.Verb() == policy.VerbPublic {
		return
	}
	path := l.pathsOf(r)[0]
	mine := together([]*policy.Rule{r})
	var open []string
	for _, m := range writes {
		if !slices.Contains(named, m) && together(l.policy.RulesFor(m, path)).weaker(l.policy, mine) {
			open = append(open, m)
		}
	}
	if len(open) > 0 {
		l.note(CodeMethodGap, r.Position(), "add "+strings.Join(open, " ")+", unless the app knows no such requests",
			"`%s` leaves out %s, for which less is needed at %s", l.written(r), strings.Join(open, " and "), rawPath(path))
	}
}

// untilWarning is how long before its day a rule is told to end.
const untilWarning = 14 * 24 * time.Hour

// ending warns of a rule that ends soon or has ended.
func (l *linter) ending(r *policy.Rule) {
	until := r.Until()
	if until.IsZero() || l.o.Now.IsZero() || l.o.Now.Before(until.Add(-untilWarning)) {
		return
	}
	last := until.Add(-time.Second).UTC().Format(time.DateOnly)
	if l.o.Now.Before(until) {
		l.add(CodeUntil, r.Position(), "move the day, or write what holds from then on", "`%s` ends with %s: what holds without it then holds as well", l.written(r), last)
		return
	}
	l.add(CodeUntil, r.Position(), "remove the rule, or move the day", "`%s` has ended with %s: it weakens nothing any more", l.written(r), last)
}

// unknownMethods finds methods that no server in use knows.
func (l *linter) unknownMethods() {
	told := map[string]bool{}
	for _, r := range l.rules {
		for _, m := range r.Methods() {
			if !told[m] && !slices.Contains(policy.KnownMethods(), m) {
				told[m] = true
				l.add(CodeUnknownMethod, r.Position(), "correct it, or accept the finding where the app invented it", "`%s`: `%s` is no method that is in use", l.written(r), m)
			}
		}
	}
}

// raiseHabits finds raises that can never hold, and those that a client turns
// off by what it sends. in is the rule of its block, nil for the policy's.
func (l *linter) raiseHabits(a policy.Raise, in *policy.Rule) {
	text := raiseText(l.policy, a)
	if !l.canHold(a, in) {
		l.add(CodeRaiseNever, a.Pos, "correct the conditions", "`%s` never holds: no request has all of its conditions", text)
	}
	for _, c := range a.Conditions {
		if c.Kind == "header" || c.Kind == "query" && c.Not {
			l.add(CodeClientDecides, a.Pos, "ask about what the client does not write: client_ip, device, risk, group",
				"`%s` goes by what the client writes itself: whoever sends it otherwise is not asked", text)
			return
		}
	}
}

// canHold tries the circumstances of a raise.
func (l *linter) canHold(a policy.Raise, in *policy.Rule) bool {
	config := &policy.Config{Default: []string{policy.LevelSignedIn}, Raises: []policy.RaiseConfig{{Level: policy.LevelMFA, Conditions: a.Conditions}}}
	p, err := policy.Compile(config, policy.CompileOptions{Matcher: func(c policy.ConditionConfig) (policy.Condition, error) { return openCondition(c), nil }})
	if err != nil {
		return true
	}
	x := &aspects{}
	x.raises([]policy.Raise{a})
	methods := slices.Clone(l.methods)
	if in != nil && len(in.Methods()) > 0 {
		methods = in.Methods()
	} else {
		for _, c := range a.Conditions {
			if c.Kind == "method" {
				addTo(&methods, c.Args...)
			}
		}
	}
	m := &model{site: l.site, policy: p}
	dims, holds := x.dimensions(l.o.Now), false
	all := enumerate(dims, l.o.Now, func(picked []int, c *circumstance) {
		odd := false
		for i, d := range dims {
			odd = odd || d.values[picked[i]].odd
		}
		for _, method := range methods {
			holds = holds || !odd && p.LevelNames(m.decide(method, "/", c).Needed)[0] != policy.LevelSignedIn ||
				!odd && len(p.LevelNames(m.decide(method, "/", c).Needed)) > 1
		}
	})
	return holds || !all
}

// ages finds ages of proofs that no one can keep up with, and those that never
// come.
func (l *linter) ages(level *policy.Level) {
	age := level.MaxAge()
	switch {
	case age == 0:
	case age < 30*time.Second:
		l.add(CodeShortAge, level.Position(), "allow at least 30s, or use `once` where each request is to be asked for",
			"the level `%s` lets proofs age for %s: who answers a challenge is asked again before the page is there", level.Name(), short(age))
	case l.o.Session > 0 && age > l.o.Session:
		l.add(CodeLongAge, level.Position(), "shorten it, or leave it out",
			"the level `%s` has a max_age of %s, and no session lasts longer than %s", level.Name(), short(age), short(l.o.Session))
	}
}
