package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/policy/author"
)

// The codes of findings about the configuration around the policies.
const (
	codeProxiesNotStrict = "trusted-proxies-not-strict"
	codeGateInMatcher    = "gate-inside-matcher"
	codeGateBehindGate   = "gate-behind-gate"
	codeProxiesEveryone  = "trusted-proxies-everyone"
	codeBindingDelay     = "binding-delay-none"
	codeProxyWithoutGate = "proxy-without-gate"
	// codeRewriteAfterGate: the upstream gets another request than was judged.
	codeRewriteAfterGate = "rewrite-after-gate"
	// codeForwarder: something stands before Caddy that it does not believe.
	codeForwarder       = "no-trusted-proxies"
	codeEnrolment       = "enrolment-" // and the word
	codeSessionIdle     = "session-idle"
	codeSessionAbsolute = "session-absolute"
	// codeAppWithUpstream: the authenticator app shares its host.
	codeAppWithUpstream = "authenticator-with-upstream"
)

// at places a finding: on its line where there is exactly one that it can be.
func (d *drawing) at(f author.Finding, lines []int) author.Finding {
	f.File = filepath.Base(d.file)
	if len(lines) == 1 {
		f.Line = lines[0]
	}
	return f
}

// linesOf lists the lines of the Caddyfile that begin with a word and have
// all the others; none for other kinds of files.
func (d *drawing) linesOf(word string, others ...string) []int {
	if !command.IsCaddyfile(d.file) {
		return nil
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		return nil
	}
	tokens, err := caddyfile.Tokenize(text, d.file)
	if err != nil {
		return nil
	}
	var lines []int
	for i := 0; i < len(tokens); {
		end := i + 1
		for end < len(tokens) && tokens[end].Line == tokens[i].Line {
			end++
		}
		if tokens[i].Text == word && holdsAll(tokens[i:end], others) {
			lines = append(lines, tokens[i].Line)
		}
		i = end
	}
	return lines
}

func holdsAll(line []caddyfile.Token, words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool {
		return !slices.ContainsFunc(line, func(t caddyfile.Token) bool {
			return t.Text == word || strings.HasSuffix(t.Text, "//"+word)
		})
	})
}

// servers is what lint reads of Caddy's HTTP app.
type servers struct {
	Servers map[string]struct {
		Routes               []lintRoute          `json:"routes"`
		NamedRoutes          map[string]lintRoute `json:"named_routes"`
		TrustedProxies       json.RawMessage      `json:"trusted_proxies"`
		TrustedProxiesUnix   bool                 `json:"trusted_proxies_unix"`
		TrustedProxiesStrict int                  `json:"trusted_proxies_strict"`
		Listen               []string             `json:"listen"`
		TLS                  []json.RawMessage    `json:"tls_connection_policies"`
	} `json:"servers"`
}

// lintRoute is a route as it is written.
type lintRoute struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []lintHandler                `json:"handle"`
}

// lintHandler is what matters here of handlers of any kind.
type lintHandler struct {
	Handler string      `json:"handler"`
	Source  string      `json:"source"`
	Routes  []lintRoute `json:"routes"`
	Name    string      `json:"name"`
	Origin  string      `json:"origin"`
	rewriting
	Rewrite   *rewriting `json:"rewrite"` // of reverse_proxy
	Upstreams []struct {
		Dial string `json:"dial"`
	} `json:"upstreams"`
	Responses []struct {
		Routes []lintRoute `json:"routes"`
	} `json:"handle_response"` // of reverse_proxy and intercept
}

// rewriting is what changes a request, as Caddy's rewrite handler writes it.
type rewriting struct {
	Method    string          `json:"method"`
	URI       string          `json:"uri"`
	Prefix    string          `json:"strip_path_prefix"`
	Suffix    string          `json:"strip_path_suffix"`
	Substring json.RawMessage `json:"uri_substring"`
	Regexp    json.RawMessage `json:"path_regexp"`
	Query     json.RawMessage `json:"query"`
}

// changes names what a rewriting does, or is empty. Files that were found by
// the path that was judged (`try_files`, `php_fastcgi`) are not another path,
// and what an answer of the app leads to is the app's own word, which is shown
// by a GET whatever was asked.
func (r *rewriting) changes() string {
	switch {
	case r == nil:
		return ""
	case r.Prefix != "":
		return "strip_prefix " + r.Prefix
	case r.Suffix != "":
		return "strip_suffix " + r.Suffix
	case r.Substring != nil:
		return "replace"
	case r.Regexp != nil:
		return "path_regexp"
	case r.URI != "" && !strings.HasPrefix(r.URI, "{http.matchers.file") && !strings.HasPrefix(r.URI, "{http.reverse_proxy.header."):
		return "to " + r.URI
	case r.Query != nil:
		return "query"
	case r.Method != "" && r.Method != http.MethodGet:
		return "method " + r.Method
	default:
		return ""
	}
}
