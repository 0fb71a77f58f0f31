package gate

import (
	"context"
	"errors"
	"net/http"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
)

// errKeptLogin refuses to send on what would be a login by now.
var errKeptLogin = errors.New("a kept request has become one of the app's login")

// restore makes the form of a Continue button the request that was kept, so
// that everything after it judges and sends that one. It does nothing to other
// requests, and answers where there is nothing to go on with.
func (h *Handler) restore(w http.ResponseWriter, r *http.Request, p *passage, v visitor) (answered bool, err error) {
	live := h.live.Load()
	if r.Method != http.MethodPost || live == nil {
		return false, nil
	}
	found, answered, err := live.Ceremonies.Continue(w, r, v.entry, p.sent.Target())
	switch {
	case err != nil:
		return true, h.fail(w, r, err)
	case found != nil:
		live.Ceremonies.Kept.Restore(r, *found)
		p.kept, p.unclaimed = found, false
	}
	return answered, nil
}

// redeem uses a kept request up before any of it is sent. It is true for
// requests that were not kept; false means that this one is sent already, or
// that it cannot be known, and is for the challenge to say.
func (h *Handler) redeem(r *http.Request, p *passage, v visitor) bool {
	if p.kept == nil {
		return true
	}
	live := h.live.Load()
	e := trail{h}.event(r, audit.RequestContinued, v)
	e.Outcome = "success"
	if p.keptErr = live.Ceremonies.Kept.Redeem(r.Context(), *p.kept, e); p.keptErr != nil {
		return false
	}
	id := p.kept.ID
	// The context of a request ends with its answer. What is missed here goes
	// when the request expires.
	context.AfterFunc(r.Context(), func() {
		if err := live.Ceremonies.Kept.Forget(context.Background(), id); err != nil {
			h.Log.Debug("delete the body of a request that was sent on", zap.Error(err))
		}
	})
	return true
}
