package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/stepgate/stepgate/internal/account"
)

// likeness groups letters that people take for one another, of Latin script
// first: what looks like it in other scripts, and what it looks like itself.
var likeness = []string{
	"aаα", "bьЬ", "cсϲ", "dԁ", "eеεҽ", "gɡց", "hһհ", "i1lіıιӏ|", "jј", "kκк", "mм", "nո", "oо0οօ", "pрρ", "qԛ", "rг", "sѕ5", "tт", "uυսц", "vνѵ", "wԝω",
	"xхχ", "yуү", "z2",
}

// maxLikenesses bounds how many names are looked for.
const maxLikenesses = 64

// LookAlikes says in words that an account's username could be taken for
// another's: it mixes scripts, or differs from one that there is by letters
// that look the same. It is a warning, for two people may well be called so.
func (p *People) LookAlikes(ctx context.Context, actor Actor, a account.Account) ([]Phrase, error) {
	var warnings []Phrase
	folded := account.FoldUsername(a.Username)
	if text := mixed(a.Username); !text.Empty() {
		warnings = append(warnings, text)
	}
	for _, name := range likenesses(folded) {
		other, err := p.Store.AccountByUsername(ctx, a.Source, name)
		if errors.Is(err, account.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for names that look the same: %w", err)
		}
		if !actor.sees(other.Organisation) {
			return append(warnings, say("the username %s can be taken for that of an account of another organisation", a.Username)), nil
		}
		return append(warnings, say("the username %s can be taken for that of the account %s", a.Username, other.Username)), nil
	}
	return warnings, nil
}

// mixed says that a username mixes scripts, or nothing.
func mixed(username string) Phrase {
	scripts := mixedScripts(account.FoldUsername(username))
	if len(scripts) < 2 {
		return Phrase{}
	}
	return say("the username %s mixes letters of several scripts, %s: it may have been made to look like another", username, strings.Join(scripts, ", "))
}

// mixedScripts lists the scripts of a name's letters among those that look
// alike.
func mixedScripts(name string) []string {
	var all []string
	for _, script := range []string{"Latin", "Cyrillic", "Greek", "Armenian"} {
		if strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) }) {
			all = append(all, script)
		}
	}
	return all
}

// likenesses are the names that look like one: each letter by itself replaced
// by the others of its group, all letters by the first of theirs, and m for rn.
func likenesses(name string) []string {
	seen := map[string]bool{name: true}
	var all []string
	add := func(other string) {
		if other = account.FoldUsername(other); !seen[other] && len(all) < maxLikenesses {
			seen[other] = true
			all = append(all, other)
		}
	}
	plain := strings.Map(func(r rune) rune {
		if group := groupOf(r); group != "" {
			return []rune(group)[0]
		}
		return r
	}, name)
	add(plain)
	add(strings.ReplaceAll(name, "rn", "m"))
	add(strings.ReplaceAll(name, "m", "rn"))
	letters := []rune(name)
	for i, r := range letters {
		for _, other := range groupOf(r) {
			if other < unicode.MaxASCII {
				add(string(letters[:i]) + string(other) + string(letters[i+1:]))
			}
		}
	}
	return all
}

func groupOf(r rune) string {
	for _, group := range likeness {
		if strings.ContainsRune(group, r) {
			return group
		}
	}
	return ""
}
