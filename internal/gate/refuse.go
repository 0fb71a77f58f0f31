package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// refuseTarget answers a target that no honest browser sends.
func (h *Handler) refuseTarget(w http.ResponseWriter, r *http.Request, err error) error {
	e := trail{h}.event(r, audit.InputRefused, visitor{})
	e.Outcome, e.Reason = "refused", "malformed-target"
	if malformed := (*target.Malformed)(nil); errors.As(err, &malformed) {
		e.Reason = malformed.Reason
	}
	status := http.StatusBadRequest
	if known := (*web.Fail)(nil); errors.As(err, &known) {
		status = known.Status
	}
	trail{h}.observe(e)
	trail{h}.tellStopped(r, outcomeMalformed, 0, e.Reference)
	return h.fail(w, r, &web.Fail{Status: status, Reference: e.Reference, Err: err})
}

// serveOwn answers with a page of the gateway.
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request, page http.Handler, next Next, err error) error {
	if err != nil {
		return h.refuseTarget(w, r, err)
	}
	endWaiting(w, r)
	w, r = basics{h}.atDesk(w, r, next)
	page.ServeHTTP(w, r)
	return nil
}

// unavailable answers where the store cannot be asked: nothing that is not
// public goes on.
func (h *Handler) unavailable(w http.ResponseWriter, r *http.Request, err error) error {
	failure := web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	if known := (*web.Fail)(nil); errors.As(err, &known) {
		failure = *known
	}
	if failure.Reference == "" {
		failure.Reference = audit.NewReference()
		h.Refused(r, failure.Reference, &failure)
	}
	trail{h}.tellStopped(r, outcomeUnavailable, 0, failure.Reference)
	return h.fail(w, r, &failure)
}

// deny answers a request that no proof would let through.
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision) error {
	e := trail{h}.decided(r, audit.AccessDenied, p, v, d)
	trail{h}.observe(e)
	return h.fail(w, r, &web.Fail{Status: http.StatusForbidden, Advice: whyOf(d), Reference: e.Reference})
}

// whyOf is what the policy's author says to whom the deciding rule stops.
func whyOf(d policy.Decision) string {
	if d.Rule == nil {
		return ""
	}
	return d.Rule.Why()
}

// begin answers a request that needs more proof.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, p *passage, v visitor, d policy.Decision) error {
	live := h.live.Load()
	if live == nil {
		return h.unavailable(w, r, errNotStarted)
	}
	if v.going != nil && v.entry != nil {
		return logins{h}.resume(w, r, live, v)
	}
	if v.entry == nil {
		if err := live.Sessions.Answers(r.Context()); err != nil {
			return h.unavailable(w, r, err)
		}
	}
	endWaiting(w, r)
	e := trail{h}.decided(r, audit.StepUpRequired, p, v, d)
	trail{h}.observe(e)
	somebody := v.entry
	if v.program() {
		somebody = nil // no page is for it
	}
	err := live.Ceremonies.Begin(w, r, challenge.Interrupted{
		Realm: programs{h}.realm(r, live, d.Needed), Visitor: somebody, Target: p.sent.Target(), Needs: d.Needed, Names: e.Levels, MaxAge: d.MaxAge,
		Once: p.request.Once, Reference: e.Reference, Kept: p.kept, KeptErr: p.keptErr, Why: whyOf(d),
	})
	if err != nil {
		return h.fail(w, r, err)
	}
	return nil
}

// fail shows an error and writes it down under the reference that the page
// shows.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) error {
	endWaiting(w, r)
	reference := h.Kit.RenderFail(w, r, h.Web, err)
	level := zap.DebugLevel
	if f := (*web.Fail)(nil); !errors.As(err, &f) || f.Status >= http.StatusInternalServerError {
		level = zap.ErrorLevel
	}
	h.Log.Log(level, "refused", zap.String("reference", reference), zap.Error(err))
	if !web.WrittenDown(err) {
		h.Refused(r, reference, err)
	}
	return nil
}

// endWaiting makes an answer of the gateway the last of its connection where
// the client waits for permission to send a body (RFC 9110 §10.1.1). Otherwise
// net/http, which does not see through Caddy's wrapping of that body, would
// read it before it answers, without having given the permission. It goes by
// the Body of the request that it has handed out, in which Caddy's timeouts of
// reading stand. Either could mend it: net/http by remembering its own reader
// for such a body instead of looking for it there, Caddy by wrapping the body of
// its copy of the request. This is superfluous then, and does no harm.
func endWaiting(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && len(r.Header["Expect"]) > 0 {
		w.Header().Set("Connection", "close")
	}
}

// Fail implements Site.
func (h *Handler) Fail(w http.ResponseWriter, r *http.Request, err error) { h.fail(w, r, err) }

// trail tells the audit trail, the log and the metrics what became of requests.
type trail struct{ *Handler }

// event begins an audit event about a request, with a reference of its own.
func (h trail) event(r *http.Request, name audit.Name, v visitor) audit.Event {
	e := audit.Event{
		Name: name, Reference: audit.NewReference(), Site: h.Origin,
		Address: h.Server.Client(r).String(), UserAgent: r.UserAgent(),
	}
	if v.entry != nil {
		e.Account = string(v.entry.Owner.Account.ID)
		e.Organisation = v.entry.Owner.Account.Organisation
		e.Session = string(v.entry.Session.ID)
	}
	return e
}

// decided is the event of a decision, with the policy's own account of it, so
// that `audit show` says what `policy explain` would.
func (h trail) decided(r *http.Request, name audit.Name, p *passage, v visitor, d policy.Decision) audit.Event {
	e := h.event(r, name, v)
	h.tellStopped(r, d.Outcome.String(), d.Needed, e.Reference)
	e.Outcome, e.Reason, e.Levels = d.Outcome.String(), d.Reason, h.Policy.LevelNames(d.Needed)
	if d.Rule != nil {
		e.Rule = RuleName(d.Rule)
	}
	if text, err := json.Marshal(h.Policy.Explain(&p.request)); err == nil {
		e.Explanation = text
	}
	return e
}

// RuleName is a rule's pattern and where it stands.
func RuleName(r *policy.Rule) string {
	return strings.TrimSpace(r.Pattern().String() + " " + r.Position().String())
}

// observe keeps an event that strangers can cause in any number.
func (h trail) observe(e audit.Event) {
	if live := h.live.Load(); live != nil {
		live.Recorder.Observe(e)
	}
}

// reportOnly judges by the policy that is only watched, and tells what it
// would have asked.
func (h *Handler) reportOnly(p *passage, r *http.Request) {
	if h.Report == nil {
		return
	}
	q := p.request
	q.MetKnown = false
	d := h.Report.Decide(&q)
	if d.Outcome == policy.Allow {
		return
	}
	e := trail{h}.event(r, audit.PolicyDecision, visitor{})
	e.Outcome, e.Reason, e.Levels = "report-only "+d.Outcome.String(), d.Reason, h.Report.LevelNames(d.Missing)
	if d.Rule != nil {
		e.Rule = RuleName(d.Rule)
	}
	metrics.reported.WithLabelValues(d.Outcome.String()).Inc()
	trail{h}.observe(e)
	h.Log.Info("report only: would have asked for more", zap.String("reference", e.Reference),
		zap.String("outcome", d.Outcome.String()), zap.String("rule", e.Rule), zap.Strings("levels", e.Levels))
}
