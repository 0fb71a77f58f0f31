package author

import (
	"slices"
	"strings"
)

const slowLevels = `level key { accept webauthn }
level both { accept totp+pin }
level fresh { accept totp; max_age 10m }
level pay { accept totp webauthn; once }
level mfa { accept totp webauthn }
`

// slowProofs are sets of proofs, each a word. A fresh one is there as an old
// one too.
var slowProofs = func() [][]string {
	sets := [][]string{nil}
	for _, ways := range [][]string{
		{"", "totp", "totp fresh-totp"}, {"", "webauthn", "webauthn fresh-webauthn"}, {"", "pin", "pin fresh-pin"}, {"", "pay"},
	} {
		var more [][]string
		for _, set := range sets {
			for _, way := range ways {
				more = append(more, append(slices.Clone(set), strings.Fields(way)...))
			}
		}
		sets = more
	}
	return sets
}()

// agedMark is behind the name of a level whose proofs a rule ages.
const agedMark = " aged"

func slowMeets(level string, proofs []string) bool {
	level, aged := strings.CutSuffix(level, agedMark)
	has := func(word string) bool {
		if aged {
			word = "fresh-" + word
		}
		return slices.Contains(proofs, word)
	}
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
		return slices.Contains(proofs, "fresh-totp")
	case "pay":
		return slices.Contains(proofs, "pay")
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
	for _, look := range p.looks(r.path) {
		needs = append(needs, p.lookUp(r, look)...)
	}
	if slices.ContainsFunc(needs, func(s string) bool { return s != "public" }) {
		for _, a := range p.raises {
			needs = append(needs, a.adds(r)...)
		}
	}
	return needs
}
