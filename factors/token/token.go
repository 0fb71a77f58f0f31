package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Prefix begins every token, so that one which was left in a repository or a
// log is found, and a header that holds one is known.
const Prefix = "sgt_"

// Factor makes tokens.
type Factor struct{}

// New gives the credential to keep and the token, which is kept nowhere. The
// error says what is wrong with the bounds.
func (Factor) New(owner account.ID, label string, bounds account.TokenBounds, now time.Time) (account.Credential, account.Secret, error) {
	if _, err := Compile(bounds); err != nil {
		return account.Credential{}, nil, err
	}
	kept, err := json.Marshal(bounds)
	if err != nil {
		return account.Credential{}, nil, err
	}
	secret := Prefix + rand.Text()
	return account.Credential{
		ID: account.NewCredentialID(), Account: owner, Factor: string(policy.Token), Label: label, Secret: kept, Handle: Handle(secret), CreatedAt: now,
	}, account.Secret(secret), nil
}

// Handle is what a token is found by.
func Handle(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "token " + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Take takes the token out of a request's header, so that nobody behind the
// gateway sees it: `Authorization: Bearer`, or Basic with it as the password,
// or as the name without one. What is no token of ours stays.
func Take(header http.Header) (secret string, found bool) {
	for _, line := range header["Authorization"] {
		scheme, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(rest, Prefix):
			secret, found = rest, true
		case strings.EqualFold(scheme, "Basic"):
			if s, ok := basic(rest); ok {
				secret, found = s, true
			}
		}
	}
	if found {
		several := len(header["Authorization"]) > 1
		delete(header, "Authorization")
		if several {
			secret = "" // which of them is meant nobody knows
		}
	}
	return secret, found
}

func basic(encoded string) (string, bool) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", false
	}
	name, password, _ := strings.Cut(string(raw), ":")
	switch {
	case strings.HasPrefix(password, Prefix):
		return password, true
	case strings.HasPrefix(name, Prefix):
		return name, true
	default:
		return "", false
	}
}

// BoundsOf are what a kept token may be used for.
func BoundsOf(c account.Credential) (account.TokenBounds, error) {
	var bounds account.TokenBounds
	if err := json.Unmarshal(c.Secret.Reveal(), &bounds); err != nil {
		return bounds, fmt.Errorf("token %s: its bounds cannot be read", c.ID)
	}
	return bounds, nil
}

// Scope is bounds, ready to judge requests.
type Scope struct {
	paths  *policy.Policy
	bounds account.TokenBounds
}

// What is wrong with bounds; compare with errors.Is.
var (
	ErrPaths = errors.New("token: paths are patterns such as /dav/*")
	ErrEnd   = errors.New("token: it needs an end")
)

// Compile makes bounds ready. Their patterns are judged as a policy judges its
// rules: a request is within them only if every reading of it is.
func Compile(bounds account.TokenBounds) (*Scope, error) {
	if bounds.EndsAt.IsZero() {
		return nil, ErrEnd
	}
	if len(bounds.Paths) == 0 {
		return nil, ErrPaths
	}
	paths, err := policy.Compile(&policy.Config{
		Rules:   []policy.RuleConfig{{Verb: policy.VerbPublic, Methods: bounds.Methods, Patterns: bounds.Paths}},
		Default: []string{string(policy.VerbDeny)},
	}, policy.CompileOptions{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPaths, err)
	}
	return &Scope{paths: paths, bounds: bounds}, nil
}

// Admits tells whether a request is within the bounds. Of q only the method,
// the methods it claims and its targets are looked at.
func (s *Scope) Admits(q policy.Request, address netip.Addr, now time.Time) bool {
	if !now.Before(s.bounds.EndsAt) {
		return false
	}
	if len(s.bounds.Addresses) > 0 && !slices.ContainsFunc(s.bounds.Addresses, func(p netip.Prefix) bool { return p.Contains(address.Unmap()) }) {
		return false
	}
	return s.paths.Decide(&policy.Request{Method: q.Method, Claimed: q.Claimed, Target: q.Target, Also: q.Also, Now: now}).Outcome == policy.Allow
}

// EndsAt is when the token ends.
func (s *Scope) EndsAt() time.Time { return s.bounds.EndsAt }
