package inject

import (
	"net/http"
	"testing"
)

func TestThePolicyKnowsTheScriptAndNothingElse(t *testing.T) {
	const at, hash = "https://portal.test/.stepgate/assets/step-up.1.js", "sha256-abc="
	for _, row := range []struct {
		name, policy, want string
		nonce              string
		hashed             bool
	}{
		{name: "no policy for scripts", policy: "img-src 'self'; frame-ancestors 'none'", want: "img-src 'self'; frame-ancestors 'none'"},
		{name: "scripts of the origin", policy: "script-src 'self'", want: "script-src 'self' " + at},
		{name: "no scripts", policy: "script-src 'none'; img-src *", want: "script-src " + at + "; img-src *"},
		{name: "an empty list", policy: "script-src", want: "script-src " + at},
		{name: "no scripts, in capitals", policy: "Script-Src 'NONE'", want: "Script-Src " + at},
		{name: "nothing at all", policy: "default-src 'none'", want: "default-src 'none'; script-src-elem " + at},
		{name: "the default", policy: "default-src 'self' https://cdn.test 'unsafe-inline';", want: "default-src 'self' https://cdn.test 'unsafe-inline'; script-src-elem 'self' https://cdn.test 'unsafe-inline' " + at},
		{name: "elements of their own", policy: "script-src 'none'; script-src-elem 'self'", want: "script-src 'none'; script-src-elem 'self' " + at},
		{name: "the first of two counts", policy: "script-src 'self'; script-src 'none'", want: "script-src 'self' " + at + "; script-src 'none'"},
		{name: "a nonce", policy: "script-src 'nonce-r4nd0m'", want: "script-src 'nonce-r4nd0m' " + at},
		{name: "a hash", policy: "script-src 'sha256-xyz='", want: "script-src 'sha256-xyz=' " + at},
		{name: "strict with a nonce", policy: "script-src 'nonce-r4nd0m' 'strict-dynamic'", want: "script-src 'nonce-r4nd0m' 'strict-dynamic' " + at, nonce: "r4nd0m"},
		{name: "strict with a hash", policy: "script-src 'sha256-xyz=' 'strict-dynamic'", want: "script-src 'sha256-xyz=' 'strict-dynamic' " + at + " 'sha256-abc='", hashed: true},
		{name: "strict with a nonce that is none", policy: `script-src 'nonce-"><b' 'strict-dynamic'`, want: `script-src 'nonce-"><b' 'strict-dynamic' ` + at + " 'sha256-abc='", hashed: true},
		{name: "strict by default", policy: "default-src 'strict-dynamic' 'nonce-n'", want: "default-src 'strict-dynamic' 'nonce-n'; script-src-elem 'strict-dynamic' 'nonce-n' " + at, nonce: "n"},
		{name: "two policies in a line", policy: "script-src 'self', default-src 'none'", want: "script-src 'self' " + at + ", default-src 'none'; script-src-elem " + at},
		{name: "two nonces", policy: "script-src 'strict-dynamic' 'nonce-a', script-src 'strict-dynamic' 'nonce-b'",
			want: "script-src 'strict-dynamic' 'nonce-a' " + at + ", script-src 'strict-dynamic' 'nonce-b' " + at + " 'sha256-abc='", nonce: "a", hashed: true},
		{name: "blanks", policy: " ;; script-src   'self'  ; ;x", want: " ;; script-src   'self' " + at + "; ;x"},
		{name: "empty", policy: "", want: ""},
		{name: "a sandbox", policy: "sandbox allow-scripts; script-src 'self'; require-trusted-types-for 'script'; connect-src 'none'",
			want: "sandbox allow-scripts; script-src 'self' " + at + "; require-trusted-types-for 'script'; connect-src 'none'"},
	} {
		for _, header := range policyHeaders {
			sent := []string{row.policy}
			h := http.Header{header: sent}
			a := allow(h, at, hash)
			if got := h.Get(header); got != row.want || a.nonce != row.nonce || a.hashed != row.hashed {
				t.Errorf("%s: %s: %q, nonce %q, hashed %t", row.name, header, got, a.nonce, a.hashed)
			}
			if sent[0] != row.policy {
				t.Errorf("%s: the upstream's own header has changed", row.name)
			}
		}
	}
	h := http.Header{"Content-Security-Policy": {"img-src *", "script-src 'self'", "default-src 'none'"}}
	allow(h, at, hash)
	if got := h["Content-Security-Policy"]; got[0] != "img-src *" || got[1] != "script-src 'self' "+at || got[2] != "default-src 'none'; script-src-elem "+at {
		t.Errorf("several headers: %q", got)
	}
}
