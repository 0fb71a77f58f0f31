package gate

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/watched"
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

// roomFor is how many header values of the gateway's own an Answer has room
// for: those of the identity headers without a block, and the Cookie line.
const roomFor = 6

// prepare makes an allowed request ready for the upstream: who it is, without
// the gateway's own cookies.
func (h *Handler) prepare(r *http.Request, p *passage, v visitor, d policy.Decision) {
	p.room(h)
	basics{h}.holdCredentials(r, p, v)
	if v.entry == nil {
		WithholdRequestCookies(r.Header)
		return
	}
	who, err := identities{h}.identify(v, p.now)
	if err != nil {
		h.Log.Error("sign the assertion", zap.Error(err))
	}
	if err != nil || d.Public && (v.memo.required&^v.memo.met != 0 || v.program()) {
		WithholdRequestCookies(r.Header)
		return
	}
	// Handlers further on may alter values in place, and the routes of errors
	// read them when the gate has returned: none is shared with another request,
	// nor used again. One array holds them all.
	values := p.answer.room[:]
	if len(who.header) >= len(values) {
		values = make([]string, len(who.header)+1)
	}
	for i := range who.header {
		values[i] = who.header[i].value
		r.Header[who.header[i].name] = values[i : i+1 : i+1]
	}
	last := len(who.header)
	withholdKnownCookies(r.Header, v.memo, values[last:last+1:last+1])
	h.Server.Provide(r, who.provide)
}

// room makes what stands around the app's answer, in one piece.
func (p *passage) room(h *Handler) {
	if h.Form == nil {
		p.answer = new(Answer)
		return
	}
	both := new(struct {
		Answer
		held watched.Answer
	})
	p.answer, p.held = &both.Answer, &both.held
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
	said := claims{
		Issuer: h.Origin, Audience: h.audience(), Subject: string(owner.ID), PreferredUsername: cleanValue(owner.Username),
		Name: cleanValue(owner.Name), Email: cleanValue(owner.Email), Groups: groups, Organisation: owner.Organisation,
		ACR: strings.Join(levels, " "), AMR: amr, AuthTime: authTime.Unix(), Session: string(row.ID),
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expires: expires.Unix(), ID: rand.Text(),
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
	}
	who := &identity{until: until, values: values}
	if err := h.sign(who, said); err != nil {
		return nil, err
	}
	for _, header := range h.Names {
		if value := header.expand(values); value != "" {
			who.header = append(who.header, preparedHeader{header.Name, value})
		}
	}
	return who, nil
}

// sign adds the assertion: at once where a header of the site has it, and else
// when a handler further on asks for it, which most never do.
func (h identities) sign(who *identity, said claims) error {
	ring := h.live.Load().Ring
	asked := sync.OnceValue(func() string {
		assertion, err := ring.SignAssertion(said)
		if err != nil {
			h.Log.Error("sign the assertion", zap.Error(err))
		}
		return assertion
	})
	if slices.ContainsFunc(h.Names, func(n IdentityHeader) bool { return n.Placeholder == AssertionPlaceholder }) {
		assertion, err := ring.SignAssertion(said)
		if err != nil {
			return err
		}
		who.values[AssertionPlaceholder] = assertion
	}
	who.provide = func(key string) (any, bool) {
		value, ok := who.values[key]
		if !ok && key == AssertionPlaceholder {
			value = asked()
			ok = value != ""
		}
		if !ok {
			return nil, false
		}
		return value, true
	}
	return nil
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
