package gate

import (
	"errors"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/web"
)

// Refused keeps the refusal of a request to a page of the gateway's own under
// the reference that the visitor was shown. What is the gateway's own fault is
// for the log alone: as a rule the store is away, and has the trail in it.
func (h *Handler) Refused(r *http.Request, reference string, err error) {
	known, live := (*web.Fail)(nil), h.live.Load()
	if live == nil || !errors.As(err, &known) || known.Status < 400 || known.Status >= http.StatusInternalServerError {
		return
	}
	var v visitor
	v.entry, _ = live.Sessions.Peek(r.Context(), r.Header, live.Ceremonies.Place)
	e := trail{h}.event(r, "", v)
	e.Name, e.Reason = refusal(known)
	e.Reference, e.Outcome = reference, "refused"
	// No more of the path: what follows may be the secret of a link.
	if page, below := strings.CutPrefix(r.URL.Path, h.Prefix+"/"); below {
		page, _, _ = strings.Cut(page, "/")
		e.Detail = []audit.Field{{Key: "method", Value: r.Method}, {Key: "page", Value: page}}
	}
	trail{h}.observe(e)
}

// refusal is the event of a refused page, and why it was refused.
func refusal(f *web.Fail) (name audit.Name, reason string) {
	switch {
	case errors.Is(f, web.ErrCrossSite):
		return audit.MaliciousCSRF, "cross-site"
	case errors.Is(f, web.ErrToken):
		return audit.MaliciousCSRF, "form-token"
	case errors.Is(f, web.ErrOldForm):
		return audit.SequenceFail, "form-over"
	}
	switch f.Status {
	case http.StatusUnauthorized:
		return audit.StepUpRequired, "app-asks"
	case http.StatusForbidden:
		return audit.AccessDenied, "not-permitted"
	case http.StatusNotFound:
		return audit.InputRefused, "no-such-page"
	case http.StatusMethodNotAllowed:
		return audit.InputRefused, "method"
	case http.StatusRequestEntityTooLarge:
		return audit.InputRefused, "too-large"
	case http.StatusConflict, http.StatusGone:
		return audit.SequenceFail, "over"
	case http.StatusTooManyRequests:
		return audit.RateLimitExceeded, "throttled"
	default:
		return audit.InputRefused, "malformed"
	}
}
