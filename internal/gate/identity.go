package gate

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

const (
	// assertionLife and assertionReuse are the contract's section 6: `exp`
	// is a minute ahead, and one assertion serves for half of that.
	assertionLife  = 60 * time.Second
	assertionReuse = 30 * time.Second
)

// IdentityHeader is one header that tells the upstream who it is.
type IdentityHeader struct {
	Name        string // canonical
	Placeholder string // without braces
}

// DefaultIdentity are the headers of `identity_headers` without a block.
func DefaultIdentity() []IdentityHeader {
	return []IdentityHeader{
		{"Remote-User", "http.auth.user.id"},
		{"Remote-Name", "http.stepgate.name"},
		{"Remote-Email", "http.stepgate.email"},
		{"Remote-Groups", "http.stepgate.groups"},
		{assertionHeader, AssertionPlaceholder},
	}
}

const assertionHeader = "Stepgate-Assertion"

// AssertionPlaceholder is where the assertion itself is found.
const AssertionPlaceholder = "http.stepgate.assertion"

// identity is what the upstream is told of a session, made once and used for
// up to half a minute.
type identity struct {
	until  time.Time
	values map[string]string
	header []preparedHeader
	// provide resolves the placeholders.
	provide func(placeholder string) (any, bool)
}

type preparedHeader struct{ name, value string }

// prepare makes an allowed request ready for the upstream: who it is, without
// the gateway's own cookies.
func (h *Handler) prepare(r *http.Request, p *passage, v visitor, d policy.Decision) {
	basics{h}.holdCredentials(r, p, v)
	if v.entry == nil {
		WithholdRequestCookies(r.Header)
		return
	}
	who, err := identities{h}.identify(v, h.live.Load().now())
	if err != nil {
		h.Log.Error("sign the assertion", zap.Error(err))
	}
	if err != nil || d.Public && (v.memo.required&^v.memo.met != 0 || v.program()) {
		WithholdRequestCookies(r.Header)
		return
	}
	// Handlers further on may alter values in place, so that none is shared
	// with another request; one array holds them all.
	values := make([]string, len(who.header)+1)
	for i := range who.header {
		values[i] = who.header[i].value
		r.Header[who.header[i].name] = values[i : i+1 : i+1]
	}
	withholdKnownCookies(r.Header, v.memo, values[len(who.header):])
	h.Server.Provide(r, who.provide)
}

// withholdKnownCookies is WithholdRequestCookies for a session whose last
// Cookie line is remembered with what is left of it. room has the place for
// one value.
func withholdKnownCookies(header http.Header, m *memo, room []string) {
	lines := header["Cookie"]
	if len(lines) != 1 {
		WithholdRequestCookies(header)
		return
	}
	last := m.cookies.Load()
	if last == nil || last[0] != lines[0] {
		last = &[2]string{lines[0], WithholdCookies(lines[0])}
		m.cookies.Store(last)
	}
	if last[1] == "" {
		delete(header, "Cookie")
		return
	}
	room[0] = last[1]
	header["Cookie"] = room
}

// identities is who somebody is, as the app is told it.
type identities struct{ *Handler }

// identify returns the session's identity, signed anew where it is too old.
func (h identities) identify(v visitor, now time.Time) (*identity, error) {
	if who := v.memo.identity.Load(); who != nil && now.Before(who.until) {
		return who, nil
	}
	who, err := h.newIdentity(v, now)
	if err != nil {
		return nil, err
	}
	v.memo.identity.Store(who)
	return who, nil
}

// claims are the assertion's (contract, section 6; RFC 7519, RFC 8176).
type claims struct {
	Issuer            string   `json:"iss"`
	Audience          string   `json:"aud"`
	Subject           string   `json:"sub"`
	PreferredUsername string   `json:"preferred_username"`
	Name              string   `json:"name,omitempty"`
	Email             string   `json:"email,omitempty"`
	Groups            []string `json:"groups"`
	Organisation      string   `json:"org"`
	ACR               string   `json:"acr"`
	AMR               []string `json:"amr"`
	AuthTime          int64    `json:"auth_time"`
	Session           string   `json:"sid"`
	IssuedAt          int64    `json:"iat"`
	NotBefore         int64    `json:"nbf"`
	Expires           int64    `json:"exp"`
	ID                string   `json:"jti"`
}

func (h identities) newIdentity(v visitor, now time.Time) (*identity, error) {
	owner, row := &v.entry.Owner.Account, &v.entry.Session
	until, expires := now.Add(assertionReuse), now.Add(assertionLife)
	// Never past the end of a level that it names, nor of the session.
	for _, end := range [...]time.Time{v.memo.until, row.EndsAt} {
		if !end.IsZero() && end.Before(until) {
			until = end
		}
		if !end.IsZero() && end.Before(expires) {
			expires = end
		}
	}
	groups := cleanGroups(owner.Groups)
	levels := h.Policy.MetNames(v.memo.met)
	amr := methodReferences(row.Proofs)
	authTime := lastProof(row)
	assertion, err := h.live.Load().Ring.SignAssertion(claims{
		Issuer: h.Origin, Audience: h.audience(), Subject: string(owner.ID), PreferredUsername: cleanValue(owner.Username),
		Name: cleanValue(owner.Name), Email: cleanValue(owner.Email), Groups: groups, Organisation: owner.Organisation,
		ACR: strings.Join(levels, " "), AMR: amr, AuthTime: authTime.Unix(), Session: string(row.ID),
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: expires.Unix(), ID: rand.Text(),
	})
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"http.auth.user.id":          cleanValue(owner.Username),
		"http.stepgate.name":         cleanValue(owner.Name),
		"http.stepgate.email":        cleanValue(owner.Email),
		"http.stepgate.groups":       strings.Join(groups, ","),
		"http.stepgate.organisation": cleanValue(owner.Organisation),
		"http.stepgate.levels":       strings.Join(levels, " "),
		"http.stepgate.amr":          strings.Join(amr, " "),
		"http.stepgate.auth_time":    authTime.UTC().Format(time.RFC3339),
		"http.stepgate.session":      string(row.ID),
		"http.stepgate.device":       string(v.memo.device),
		AssertionPlaceholder:         assertion,
	}
	who := &identity{until: until, values: values}
	who.provide = func(key string) (any, bool) {
		if value, ok := values[key]; ok {
			return value, true
		}
		return nil, false
	}
	for _, header := range h.Names {
		if value := header.expand(values); value != "" {
			who.header = append(who.header, preparedHeader{header.Name, value})
		}
	}
	return who, nil
}

func (i IdentityHeader) expand(values map[string]string) string { return values[i.Placeholder] }

func (h identities) audience() string {
	if h.Audience != "" {
		return h.Audience
	}
	return h.Origin
}

// cleanValue is UTF-8 without control bytes, as a header may carry it.
func cleanValue(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s))
}

// cleanGroups drops groups that a comma-separated list cannot carry.
func cleanGroups(groups []string) []string {
	left := make([]string, 0, len(groups))
	for _, g := range groups {
		if g != "" && !strings.Contains(g, ",") && cleanValue(g) == g {
			left = append(left, g)
		}
	}
	return left
}

// lastProof is when the person last proved something: `auth_time`.
func lastProof(s *session.Session) time.Time {
	last := s.CreatedAt
	for _, p := range s.Proofs {
		if p.At.After(last) {
			last = p.At
		}
	}
	return last
}

// methodReferences are the RFC 8176 values of a session's proofs; factors
// that the registry has no word for have ours.
func methodReferences(proofs []policy.Proof) []string {
	var amr []string
	add := func(words ...string) {
		for _, w := range words {
			if !slices.Contains(amr, w) {
				amr = append(amr, w)
			}
		}
	}
	kinds := map[policy.Factor]bool{}
	for _, p := range proofs {
		kinds[p.Factor] = true
		add(p.Factor.References()...)
		if p.Factor == policy.WebAuthn && p.UserVerified {
			add("user")
		}
		if p.Factor == policy.DevicePIN || p.UserVerified {
			kinds["verified"] = true
		}
	}
	if len(kinds) > 1 {
		add("mfa")
	}
	return amr
}
