package upstreambasic

import (
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/account"
)

// Credentials are what one Authorization header says.
type Credentials struct {
	// Username is who signs in, by the name that the app will read.
	Username string
	// Digest says that the header holds for one method and one address only
	// (RFC 7616 §3.4).
	Digest bool
	// Line is the header for the app, in one spelling. It has the password,
	// or what stands for it.
	Line account.Secret
}

var (
	basicLine  = regexp.MustCompile(`^(?i:basic) +([A-Za-z0-9+/]+={0,2})$`)
	digestLine = regexp.MustCompile(`^(?i:digest) +(.+)$`)
	// parameter is one of a Digest header (RFC 9110 §11.2).
	parameter = regexp.MustCompile(`^\s*([A-Za-z*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))\s*(?:,|$)`)
)

// Read reads a request's Authorization. ok is false for none, several, another
// scheme, and whatever two parsers could read in two ways.
func Read(h http.Header) (c Credentials, ok bool) {
	lines := h["Authorization"]
	if len(lines) != 1 {
		return c, false
	}
	line := strings.Trim(lines[0], " \t")
	if m := basicLine.FindStringSubmatch(line); m != nil {
		return readBasic(m[1])
	}
	if m := digestLine.FindStringSubmatch(line); m != nil {
		return readDigest(m[1])
	}
	return c, false
}

// readBasic takes the name to end at the first colon (RFC 7617 §2).
func readBasic(encoded string) (c Credentials, ok bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return c, false
	}
	name, _, ok := strings.Cut(string(raw), ":")
	if !ok || !plain(string(raw)) || account.CheckUsername(name) != nil {
		return c, false
	}
	return Credentials{Username: name, Line: account.Secret("Basic " + encoded)}, true
}

// readDigest wants one name, in the open: neither hashed nor in the extended
// notation (RFC 7616 §3.4.4).
func readDigest(parameters string) (c Credentials, ok bool) {
	seen := map[string]string{}
	for rest := parameters; rest != ""; {
		m := parameter.FindStringSubmatch(rest)
		if m == nil {
			return c, false
		}
		name := strings.ToLower(m[1])
		if _, twice := seen[name]; twice {
			return c, false
		}
		seen[name] = m[2] + m[3]
		rest = rest[len(m[0]):]
	}
	name := seen["username"]
	if strings.EqualFold(seen["userhash"], "true") || seen["username*"] != "" || strings.Contains(name, `\`) || !plain(parameters) || account.CheckUsername(name) != nil {
		return c, false
	}
	return Credentials{Username: name, Digest: true, Line: account.Secret("Digest " + parameters)}, true
}

// plain tells whether a text is UTF-8 without control bytes.
func plain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

type credentialsKey struct{}

// With is a context in which a question to the app carries credentials.
func With(ctx context.Context, c Credentials) context.Context {
	return context.WithValue(ctx, credentialsKey{}, c)
}

// Of are the credentials that a question to the app has to carry.
func Of(ctx context.Context) (c Credentials, ok bool) {
	c, ok = ctx.Value(credentialsKey{}).(Credentials)
	return c, ok
}
