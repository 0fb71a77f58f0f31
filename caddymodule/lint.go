package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

// The codes of findings about the configuration around the policies.
const (
	codeProxiesNotStrict = "trusted-proxies-not-strict"
	codeGateInMatcher    = "gate-inside-matcher"
	codeProxiesEveryone  = "trusted-proxies-everyone"
	codeBindingDelay     = "binding-delay-none"
	codeProxyWithoutGate = "proxy-without-gate"
	// codeRewriteAfterGate: the upstream gets another path than was judged.
	codeRewriteAfterGate = "rewrite-after-gate"
	// codeForwarder: something stands before Caddy that it does not believe.
	codeForwarder       = "no-trusted-proxies"
	codeEnrolment       = "enrolment-" // and the word
	codeSessionIdle     = "session-idle"
	codeSessionAbsolute = "session-absolute"
	// codeAppWithUpstream: the authenticator app shares its host.
	codeAppWithUpstream = "authenticator-with-upstream"
)

// Ceilings of NIST SP 800-63B-4 §2.2.3, for sessions at AAL2.
const (
	idleCeiling     = time.Hour
	absoluteCeiling = 24 * time.Hour
)

// Lint looks at the policies of all gates and at what is around them.
func (d *drawing) Lint() ([]author.Finding, error) {
	found, _, err := d.lintServers()
	if err != nil {
		return nil, err
	}
	found = append(found, d.lintSessions()...)
	options := author.LintOptions{Offered: d.app.offered(), Now: time.Now(), Session: time.Duration(d.app.Session.Absolute)}
	for _, h := range d.gates {
		found = append(found, author.Lint(h.authored(), options)...)
		if report := h.authoredReport(); report != nil {
			found = append(found, author.Lint(report, options)...)
		}
		if h.BindingDelay != nil && *h.BindingDelay == 0 {
			pos := parsePosition(h.Source)
			found = append(found, d.at(author.Finding{
				Code: codeBindingDelay, Site: h.Origin, File: pos.File, Line: pos.Line,
				Text: "binding_delay 0s: whoever has a weak proof once adds a strong factor that counts at once, before anybody has read the notice",
				Mend: "leave it at 24h; a temporary code lifts the wait where somebody is helped in person",
			}, d.linesOf("binding_delay")))
		}
		found = append(found, h.lintEnrolment())
		found = append(found, d.lintSources(h)...)
	}
	slices.SortStableFunc(found, func(a, b author.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	if text, err := os.ReadFile(d.file); err == nil {
		found = author.Accept(found, d.file, string(text))
	}
	return found, nil
}

// lintEnrolment says what the site's enrolment leaves open.
func (h *Handler) lintEnrolment() author.Finding {
	word := h.enrolment()
	pos := parsePosition(h.Source)
	f := author.Finding{Code: codeEnrolment + string(word), Note: true, Site: h.Origin, File: pos.File, Line: pos.Line}
	switch word {
	case challenge.EnrolSelf:
		f.Text = "enrolment self: whoever has the password of somebody who has not enrolled yet can enrol a factor of their own for that account"
		f.Mend = "use `enrolment contact` or `enrolment invited`, or have everyone enrol before it matters"
	case challenge.EnrolContact:
		f.Text = "enrolment contact: whoever has the password of somebody who has not enrolled yet, and reads the mailbox or the texts of the address on the account, can enrol a factor of their own; addresses are as good as whoever keeps them up"
		f.Mend = "use `enrolment invited` where addresses come from a directory that people edit themselves"
	default:
		f.Text = "enrolment invited: whoever gets hold of a temporary code, together with the sign-in, can enrol a factor of their own; it is as good as the check of who asks the helpdesk for one"
		f.Mend = "hand codes over in person, or after a check that is written down"
	}
	return f
}

// lintSessions holds the limits of sessions against the ceilings.
func (d *drawing) lintSessions() []author.Finding {
	var found []author.Finding
	add := func(code, option, text string) {
		found = append(found, d.at(author.Finding{Code: code, Text: text, Mend: "shorten `" + option + "` in the app's `session` block"}, d.linesOf(option)))
	}
	if idle := time.Duration(d.app.Session.Idle); idle > idleCeiling {
		add(codeSessionIdle, "idle", fmt.Sprintf("a session may be idle for %s: NIST SP 800-63B-4 §2.2.3 wants a new proof after an hour at most", policy.Duration(idle)))
	}
	if absolute := time.Duration(d.app.Session.Absolute); absolute > absoluteCeiling {
		add(codeSessionAbsolute, "absolute", fmt.Sprintf("a session may last %s: NIST SP 800-63B-4 §2.2.3 wants a new sign-in after 24 hours at most", policy.Duration(absolute)))
	}
	return found
}

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

// rewriting is what changes a path, as Caddy's rewrite handler writes it.
type rewriting struct {
	URI       string          `json:"uri"`
	Prefix    string          `json:"strip_path_prefix"`
	Suffix    string          `json:"strip_path_suffix"`
	Substring json.RawMessage `json:"uri_substring"`
	Regexp    json.RawMessage `json:"path_regexp"`
}

// changes names what a rewriting does, or is empty. Files that were found by
// the path that was judged (`try_files`, `php_fastcgi`) are not another path,
// and what an answer of the app leads to is the app's own word.
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
	default:
		return ""
	}
}
