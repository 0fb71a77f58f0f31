package inject

import (
	"net/http"
	"strings"
)

// allowance is what lets the script run under the policies of one page.
type allowance struct {
	// nonce is that of the page's policies, for the tag; hashed says that the
	// tag names the script's hash (CSP3 §6.7.2.3).
	nonce  string
	hashed bool
}

// policyHeaders are where a page says what may run in it. Policies in a meta
// element hold only for what comes behind them.
var policyHeaders = [...]string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"}

// allow lets every policy of a page know the script's address, and nothing
// else. Where a policy trusts no addresses ('strict-dynamic'), the tag has the
// policy's own nonce, or the policy learns the script's hash.
func allow(h http.Header, address, hash string) allowance {
	var a allowance
	for _, name := range policyHeaders {
		lines := h[name]
		for i, line := range lines {
			policies := strings.Split(line, ",")
			for j, p := range policies {
				policies[j] = a.extend(p, address, hash)
			}
			if extended := strings.Join(policies, ","); extended != line {
				if i == 0 {
					lines = append([]string(nil), lines...) // the upstream's own slice stays
				}
				lines[i] = extended
			}
		}
		if lines != nil {
			h[name] = lines
		}
	}
	return a
}

// extend writes one policy with the script in it. All else stays byte for
// byte.
func (a *allowance) extend(policy, address, hash string) string {
	directives := strings.Split(policy, ";")
	at, name := governing(directives)
	if at < 0 {
		return policy // every script may run
	}
	text := strings.TrimRight(directives[at], " \t\r\n\f")
	sources := strings.Fields(text)[1:]
	added := address
	if contains(sources, "'strict-dynamic'") {
		switch nonce := nonceOf(sources); {
		case nonce != "" && (a.nonce == "" || a.nonce == nonce):
			a.nonce = nonce
		default:
			a.hashed = true
			added += " '" + hash + "'"
		}
	}
	if name == "default-src" {
		// A directive for script elements alone, with what held for them.
		return strings.TrimRight(policy, "; \t\r\n\f") + "; script-src-elem " + strings.Join(append(some(sources), added), " ")
	}
	if len(sources) != len(some(sources)) { // 'none' stands alone
		text = text[:strings.Index(text, strings.Fields(text)[0])+len(name)]
	}
	directives[at] = text + " " + added
	return strings.Join(directives, ";")
}

// governing finds the directive that holds for script elements (CSP3
// §6.8.3). Of a repeated directive the first counts.
func governing(directives []string) (at int, name string) {
	for _, wanted := range []string{"script-src-elem", "script-src", "default-src"} {
		for i, d := range directives {
			if words := strings.Fields(d); len(words) > 0 && strings.EqualFold(words[0], wanted) {
				return i, wanted
			}
		}
	}
	return -1, ""
}

// some leaves out 'none', which means something only by itself.
func some(sources []string) []string {
	var kept []string
	for _, s := range sources {
		if !strings.EqualFold(s, "'none'") {
			kept = append(kept, s)
		}
	}
	return kept
}

func contains(sources []string, keyword string) bool {
	for _, s := range sources {
		if strings.EqualFold(s, keyword) {
			return true
		}
	}
	return false
}

func nonceOf(sources []string) string {
	const begin = "'nonce-"
	for _, s := range sources {
		if len(s) > len(begin)+1 && strings.EqualFold(s[:len(begin)], begin) && strings.HasSuffix(s, "'") {
			if nonce := s[len(begin) : len(s)-1]; plainNonce(nonce) {
				return nonce
			}
		}
	}
	return ""
}

// plainNonce tells whether a nonce is written as CSP3 §2.3.1 has it, so that
// it can stand in a tag.
func plainNonce(nonce string) bool {
	for _, c := range []byte(nonce) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("+/-_=", c) < 0 {
			return false
		}
	}
	return nonce != ""
}
