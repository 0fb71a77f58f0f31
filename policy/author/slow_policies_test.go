package author

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

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
		a.conditions = append(a.conditions, d.word("", "not ")+d.word("risk high", "risk medium", "device private", "group g", "method POST", "country GB"))
	}
	return a
}

func (d dice) rule() slowRule {
	r := slowRule{verb: d.word("require", "require", "require", "public", "deny")}
	for range 1 + d.IntN(3) {
		r.path += "/" + d.word("a", "b", "ab", "a*", "*b", "*", "s.php", "*.php")
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
		r.user = d.word("", "", "", "", "", "joe")
		r.aged = r.level != "signed_in" && r.level != "pay" && d.IntN(6) == 0
		if d.IntN(6) == 0 {
			r.raise = d.raise(1)
		}
	}
	r.ends = d.IntN(6) == 0
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

// world is every path of a small world.
var world = func() []string {
	var paths []string
	level := []string{""}
	for range 3 {
		var next []string
		for _, p := range level {
			for _, s := range []string{"a", "b", "ab", "q", "aq", "s.php"} {
				next = append(next, p+"/"+s)
			}
		}
		paths, level = append(paths, next...), next
	}
	for _, p := range slices.Clone(paths) {
		paths = append(paths, p+"/")
	}
	return append(paths, "/")
}()

// apart leaves out of the world what both policies see as they see a path
// before it: the same matches of the same rules.
func (p *slowPolicy) apart(o *slowPolicy) []string {
	seen := map[string]bool{}
	var list []string
	for _, path := range world {
		key := fmt.Sprint(p.looks(path), o.looks(path))
		if !seen[key] {
			list = append(list, path)
		}
		seen[key] = true
	}
	return list
}

// cases are the circumstances of the world: what random policies tell apart.
func (p *slowPolicy) cases(o *slowPolicy) []slowRequest {
	list := []slowRequest{{risk: "low", device: "unknown", country: "ZZ"}}
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
	if strings.Contains(text, "user") {
		vary([]string{"", "joe"}, func(r *slowRequest, v string) { r.user = v })
	}
	if strings.Contains(text, "country") {
		vary([]string{"ZZ", "GB"}, func(r *slowRequest, v string) { r.country = v })
	}
	if strings.Contains(text, "until") {
		vary([]string{"", "ended"}, func(r *slowRequest, v string) { r.ended = v != "" })
	}
	if strings.Contains(text, "?") {
		vary([]string{"", "x=1", "x=12", "x=2", "x=13", "x=q", "y=1"}, func(r *slowRequest, v string) { r.query = v })
	}
	return list
}
