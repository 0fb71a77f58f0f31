package gate

import (
	"crypto/rand"
	"errors"
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
// up to half a minute. What the session says by itself is not kept a second
// time: a node has as many of these as sessions were served in the last minute.
type identity struct {
	gate          identities
	entry         *session.Entry
	memo          *memo
	issued, until time.Time
	// values are those of the headers that the site names, in its order; "" for
	// one that is not sent.
	values []string
	// provide resolves the placeholders.
	provide func(placeholder string) (any, bool)

	signing   sync.Mutex
	assertion string // "" until somebody asks
}

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
	last := len(who.values)
	if last >= len(values) {
		values = make([]string, last+1)
	}
	copy(values, who.values)
	for i, value := range who.values {
		if value != "" {
			r.Header[h.Names[i].Name] = values[i : i+1 : i+1]
		}
	}
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
		weld watched.Answer
	})
	p.answer, p.weld = &both.Answer, &both.weld
}

// withholdKnownCookies is WithholdRequestCookies without an allocation where
// the gateway's cookies stand together at an end of the one line, and else
// where the line is the session's last, which is remembered with what is left
// of it. room has the place for one value.
func withholdKnownCookies(header http.Header, m *memo, room []string) {
	lines := header["Cookie"]
	if len(lines) != 1 {
		WithholdRequestCookies(header)
		return
	}
	left, whole := betweenOurs(lines[0])
	if !whole {
		left = m.between(lines[0])
	}
	if left == "" {
		delete(header, "Cookie")
		return
	}
	room[0] = left
	header["Cookie"] = room
}

// rememberedLine is how long a Cookie line may be that is remembered.
const rememberedLine = 4 << 10

// between is WithholdCookies, remembered.
func (m *memo) between(line string) string {
	last := m.cookies.Load()
	if last == nil || last[0] != line {
		last = &[2]string{line, WithholdCookies(line)}
		if len(line) <= rememberedLine {
			m.cookies.Store(last)
		}
	}
	return last[1]
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
	who := &identity{gate: h, entry: v.entry, memo: v.memo, issued: now, values: make([]string, len(h.Names))}
	who.until = who.sooner(now.Add(assertionReuse))
	for i, name := range h.Names {
		value, err := who.value(name.Placeholder)
		if err != nil {
			return nil, err
		}
		who.values[i] = value
	}
	who.provide = who.provided
	return who, nil
}

// sooner is the earliest of a moment, the end of a level that the identity
// names, and the end of the session.
func (who *identity) sooner(t time.Time) time.Time {
	for _, end := range [...]time.Time{who.memo.until, who.entry.Session.EndsAt} {
		if !end.IsZero() && end.Before(t) {
			t = end
		}
	}
	return t
}

// provided is what a placeholder stands for. An assertion that cannot be signed
// is not there, and is told of.
func (who *identity) provided(placeholder string) (any, bool) {
	for i := range who.values {
		if who.gate.Names[i].Placeholder == placeholder {
			return who.values[i], true
		}
	}
	value, err := who.value(placeholder)
	switch {
	case errors.Is(err, errNoPlaceholder):
		return nil, false
	case err != nil:
		who.gate.Log.Error("sign the assertion", zap.Error(err))
		return nil, false
	default:
		return value, true
	}
}

// errNoPlaceholder says that a placeholder is nothing of the gateway's.
var errNoPlaceholder = errors.New("no placeholder of the gateway's")

// value is what a placeholder without braces stands for. An error is
// errNoPlaceholder, or that of signing.
func (who *identity) value(placeholder string) (string, error) {
	owner, row := &who.entry.Owner.Account, &who.entry.Session
	switch placeholder {
	case "http.auth.user.id":
		return cleanValue(owner.Username), nil
	case "http.stepgate.name":
		return cleanValue(owner.Name), nil
	case "http.stepgate.email":
		return cleanValue(owner.Email), nil
	case "http.stepgate.groups":
		return strings.Join(cleanGroups(owner.Groups), ","), nil
	case "http.stepgate.organisation":
		return cleanValue(owner.Organisation), nil
	case "http.stepgate.levels":
		return strings.Join(who.gate.Policy.MetNames(who.memo.met), " "), nil
	case "http.stepgate.amr":
		return strings.Join(methodReferences(row.Proofs), " "), nil
	case "http.stepgate.auth_time":
		return lastProof(row).UTC().Format(time.RFC3339), nil
	case "http.stepgate.session":
		return string(row.ID), nil
	case "http.stepgate.device":
		return string(who.memo.device), nil
	case AssertionPlaceholder:
		return who.sign()
	}
	return "", errNoPlaceholder
}

// sign is the assertion. It is signed at once where a header of the site has
// it, and else when a handler further on asks for it, which most never do.
func (who *identity) sign() (string, error) {
	who.signing.Lock()
	defer who.signing.Unlock()
	if who.assertion != "" {
		return who.assertion, nil
	}
	assertion, err := who.gate.live.Load().Ring.SignAssertion(who.claims())
	who.assertion = assertion
	return assertion, err
}

func (who *identity) claims() claims {
	owner, row := &who.entry.Owner.Account, &who.entry.Session
	issued := who.issued.Unix()
	return claims{
		Issuer: who.gate.Origin, Audience: who.gate.audience(), Subject: string(owner.ID), PreferredUsername: cleanValue(owner.Username),
		Name: cleanValue(owner.Name), Email: cleanValue(owner.Email), Groups: cleanGroups(owner.Groups), Organisation: owner.Organisation,
		ACR: strings.Join(who.gate.Policy.MetNames(who.memo.met), " "), AMR: methodReferences(row.Proofs),
		AuthTime: lastProof(row).Unix(), Session: string(row.ID),
		IssuedAt: issued, NotBefore: issued, Expires: who.sooner(who.issued.Add(assertionLife)).Unix(), ID: rand.Text(),
	}
}

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
