package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/telemetry"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/policy"
)

// visitor is who a request comes from. It carries its error: public paths go
// on without a store.
type visitor struct {
	entry *session.Entry // nil for nobody
	memo  *memo
	risk  policy.Risk
	err   error
	// going is where somebody was going who was sent to the app's own login
	// page; nil on other sites, and mostly.
	going *ceremony.Continuation
}

// memo is what the handler derived from a session and finds again at its next
// request. It is replaced as a whole.
type memo struct {
	handler  *Handler
	met      policy.LevelSet
	until    time.Time // zero: as long as the session lives
	device   policy.Device
	risk     policy.Risk
	requires []string
	required policy.LevelSet
	identity atomic.Pointer[identity]
	around   atomic.Pointer[surroundings] // of the last request; nil before one
	// cookies remembers the last Cookie line with and without our own.
	cookies atomic.Pointer[[2]string]
	watched watched.Memo
}

// Fade implements session.Fader: an identity that is too old is not used again.
func (m *memo) Fade(now time.Time) {
	if who := m.identity.Load(); who != nil && !now.Before(who.until) {
		m.identity.CompareAndSwap(who, nil)
	}
}

// find finds the session of a request, from memory if it was seen before.
func (h *Handler) find(r *http.Request, p *passage) visitor {
	ctx, step := telemetry.Begin(r.Context(), "stepgate find")
	if p.traced = step.Recorded(); p.traced {
		r = r.WithContext(ctx)
	}
	v := visitors{h}.findVisitor(r, p)
	step.End(v.err)
	return v
}

// visitors is whose request it is.
type visitors struct{ *Handler }

func (h visitors) findVisitor(r *http.Request, p *passage) visitor {
	live, err := h.alive(r.Context())
	if err != nil {
		return visitor{err: err}
	}
	if v, again := h.remembered(r); again {
		return h.revisit(r, live, v)
	}
	if p.program {
		return programs(h).program(r, live, p, p.token)
	}
	programs(h).borrow(r, live)
	p.now = live.now()
	entry, err := live.Sessions.Find(r.Context(), r.Header, live.Ceremonies.Place)
	if err == nil {
		entry, err = live.Ceremonies.Vouched(r, entry)
	}
	if err != nil || entry == nil {
		return visitor{err: err, going: logins(h).going(live, r)}
	}
	v := visitor{entry: entry, memo: h.memo(entry, p.now), going: logins(h).going(live, r)}
	v.risk = h.look(r, live, v)
	return v
}

// memo returns what is known of a session, made anew where its levels may
// have changed by time or by a reload.
func (h visitors) memo(e *session.Entry, now time.Time) *memo {
	if m, ok := e.Memo.Load().(*memo); ok && m.handler == h.Handler && (m.until.IsZero() || now.Before(m.until)) {
		return m
	}
	m := &memo{handler: h.Handler, device: policy.Device(e.Session.Device)}
	m.met, m.until = h.Policy.MetUntil(proofsAt(e, now), true, now)
	m.risk, _ = policy.ParseRisk(e.Session.Risk)
	m.requires = e.Owner.Requires()
	if required, err := h.Policy.Required(m.requires); err == nil {
		m.required = required
	} else {
		m.required = ^policy.LevelSet(0)
	}
	if m.device == "" {
		m.device = policy.DeviceUnknown
	}
	e.Memo.Store(m)
	return m
}

// describe gives the policy the facts about a visitor.
func (v visitor) describe(h *Handler, q *policy.Request) {
	if v.entry == nil {
		q.Device = policy.DeviceUnknown
		// Nobody is asked for more than the sign-in because of a risk that is
		// scored with it: the request is judged again then.
		q.Risk = policy.RiskLow
		return
	}
	owner := &v.entry.Owner.Account
	q.SignedIn = true
	q.Username, q.Groups, q.Organisation = owner.Username, owner.Groups, owner.Organisation
	q.Requires = v.memo.requires
	q.Proofs, q.Met, q.MetKnown = v.entry.Session.Proofs, v.memo.met, true
	q.Device, q.Risk = v.memo.device, v.risk
}

// once names this very request for levels with `once`: all that the decision
// read of it, which is its method and those it claims, its full targets, what
// its body says it is, and that body. A body that cannot be read whole names
// nothing.
func (p *passage) once(r *http.Request) string {
	if p.kept != nil {
		return p.kept.ID.Once()
	}
	body := p.peek(r)
	if !body.whole {
		return ""
	}
	sum := sha256.New()
	add := func(parts ...string) {
		fmt.Fprintf(sum, "%d ", len(parts))
		for _, part := range parts {
			fmt.Fprintf(sum, "%d %s", len(part), part)
		}
	}
	add(r.Method, p.sent.RawPath(), p.sent.RawQuery())
	for _, other := range p.request.Also {
		add(other.RawPath(), other.RawQuery())
	}
	// Headers of one meaning arrive in any order.
	add(slices.Sorted(slices.Values(p.claimed))...)
	add(r.Header["Content-Type"]...)
	add(r.Header["Content-Encoding"]...)
	add(string(body.bytes))
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// passed is what stays with a request that the gate has passed on and that
// comes back as an error: its cookie is withheld by then.
type passed struct {
	handler *Handler
	visitor visitor
}

// remember is for the routes of errors, which see the request again.
func (h visitors) remember(r *http.Request, v visitor) { h.Server.Remember(r, &passed{h.Handler, v}) }

// remembered is the visitor of a request that has passed this gate before.
func (h visitors) remembered(r *http.Request) (visitor, bool) {
	p, ok := h.Server.Remembered(r).(*passed)
	if !ok || p.handler != h.Handler {
		return visitor{}, false
	}
	return p.visitor, true
}

// revisit is find for such a request: the session may have ended meanwhile.
func (h visitors) revisit(r *http.Request, live *Live, v visitor) visitor {
	if v.entry == nil {
		return v
	}
	if _, err := live.Sessions.Current(r.Context(), v.entry); err != nil {
		return visitor{}
	}
	return v
}
