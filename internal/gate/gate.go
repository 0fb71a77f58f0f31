package gate

import (
	"context"
	"net/http"
	"net/netip"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/inject"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Handler is the gate of one site. It passes a request on only when its
// levels are met. Its fields are set before its first request.
type Handler struct {
	Origin   string // as browsers write it
	Prefix   string // of the gateway's own pages
	Audience string // of the assertion; "" for the origin
	// KeepStream leaves streams open when a level of their path runs out.
	KeepStream bool

	Server  Server
	Open    func(context.Context) (*Live, error) // opens the store, or says why it is away
	Policy  *policy.Policy
	Report  *policy.Policy // judged and told, never enforced; nil for none
	Reader  *target.Reader
	Managed *HeaderSet       // what only the gateway may say to the upstream
	Names   []IdentityHeader // how it says who somebody is
	Web     *web.Site
	Kit     *web.Kit
	Form    *legacyform.Form      // the app's own login form, where one is watched
	Basic   *upstreambasic.Source // the app's own question for a password, where it is the sign-in
	Log     *zap.Logger
	Script  *inject.Script // what is added to the app's pages; nil adds none

	lending lending
	live    atomic.Pointer[Live]
	tallies atomic.Pointer[map[policy.LevelSet]*tally]
}

// Server is what only the server around the gate knows of a request.
type Server interface {
	// Original is the target that the client sent, where an earlier handler
	// may have rewritten it; "" where the request has it still.
	Original(r *http.Request) string
	// Client is the client's address, as trusted proxies vouch for it. It is
	// not valid where nobody knows.
	Client(r *http.Request) netip.Addr
	// Country is where the client is, by ISO 3166 code, or "".
	Country(r *http.Request) string
	// Placeholders gives what earlier handlers have provided, "" for what
	// none has; nil where the server has no placeholders.
	Placeholders(r *http.Request) func(placeholder string) string
	// Provide has handlers further on find values by their placeholders.
	Provide(r *http.Request, values func(placeholder string) (any, bool))
	// Switched tells whether the upstream has answered with a change of
	// protocol of which nothing was passed on.
	Switched(r *http.Request) bool
	// Remember keeps something with a request that may come back as an error,
	// and Remembered has it again.
	Remember(r *http.Request, what any)
	Remembered(r *http.Request) any
	// Note has the server's log of requests say what became of r: the outcome
	// in a word, the levels that it needed with a blank between, and the
	// reference that a refusal shows, "" where there is none.
	Note(r *http.Request, outcome, levels, reference string)
	watched.Server
}

// Next is the way from the gate to the app.
type Next = watched.Next

// ServeHTTP is the way of every request. Each step has a name; what a step
// does is below that name.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next Next) error {
	secret, program := token.Take(r.Header)
	r = h.hear(r) // before a header that names somebody is withheld
	p := passages.Get().(*passage)
	defer p.release()
	p.unclaimed = !h.Managed.StripRequest(r)
	p.token, p.program, p.next = secret, program, next
	if err := p.read(h, r); err != nil {
		return h.refuseTarget(w, r, err)
	}
	if page, err := p.ownPage(h, r); page != nil || err != nil {
		return h.serveOwn(w, r, page, next, err)
	}
	visitor := h.find(r, p)
	if answered, err := h.restore(w, r, p, visitor); answered {
		return err
	}
	decision := p.judge(h, r, visitor)
	h.reportOnly(p, r)
	if p.sight = (logins{h}).sight(r, p, decision); p.sight != legacyform.Elsewhere {
		return logins{h}.login(w, r, p, visitor, decision)
	}
	if (basics{h}).strangerToApp(r, visitor, decision) {
		return basics{h}.signInAtApp(w, r, p, visitor, decision)
	}
	if h.named(r, visitor, decision) {
		return h.signInNamed(w, r, p)
	}
	decision = h.spend(r, visitor, decision, p)
	switch {
	case decision.Outcome == policy.Deny:
		return h.deny(w, r, p, visitor, decision)
	case visitor.err != nil && !open(decision):
		return h.unavailable(w, r, visitor.err)
	case decision.Outcome == policy.Allow:
		h.prepare(r, p, visitor, decision)
		return h.watch(w, r, p, visitor, decision)
	default:
		return h.begin(w, r, p, visitor, decision)
	}
}

// open tells whether a request goes on without a store.
func open(d policy.Decision) bool { return d.Outcome == policy.Allow && d.Public }
