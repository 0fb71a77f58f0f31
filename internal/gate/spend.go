package gate

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// StillMeets implements Site.
func (h *Handler) StillMeets(ctx context.Context, e *session.Entry, needed policy.LevelSet) bool {
	live := h.live.Load()
	row, err := live.Sessions.Current(ctx, e)
	if err != nil {
		return false
	}
	return h.KeepStream || needed&^h.Policy.Met(row.Proofs, true, live.now()) == 0
}

// spending is what a request uses up on its way in.
type spending struct{ *Handler }

// coversPages tells whether a request fetches a service worker whose scope
// would take in the gateway's own pages: scripts of the application must not
// answer for them. The scope is the script's folder, for the header that
// widens it does not leave (Service Workers §7).
func (h spending) coversPages(r *http.Request) bool {
	if len(r.Header["Service-Worker"]) == 0 {
		return false
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	folder := path[:strings.LastIndexByte(path, '/')+1]
	return strings.HasPrefix(h.Prefix+"/", folder)
}

var errServiceWorker = &web.Fail{
	Status: http.StatusForbidden, Err: errors.New("a service worker would cover the gateway's pages"),
}

// spend burns the proofs that were made for this one request, and the request
// itself where it is one that was kept, before the upstream sees it. What was
// allowed is to be proved anew where one has opened a request already, also in
// a race, or where that cannot be known.
func (h *Handler) spend(r *http.Request, v visitor, d policy.Decision, p *passage) policy.Decision {
	if d.Outcome != policy.Allow || v.err != nil && !d.Public {
		return d
	}
	if d.Once != 0 && !(spending{h}).spendProofs(r, v, d, p) || !h.redeem(r, p, v) {
		d.Outcome = policy.StepUp
	}
	return d
}

func (h spending) spendProofs(r *http.Request, v visitor, d policy.Decision, p *passage) bool {
	live := h.live.Load()
	var fresh []policy.Proof
	for _, proof := range v.entry.Session.Proofs {
		if proof.Once == "" || proof.Once != p.request.Once {
			continue
		}
		id := ceremony.OnceTransaction(v.entry.Session.ID, proof)
		if live.Store.RedeemTransaction(r.Context(), id, live.now()) == nil {
			fresh = append(fresh, proof)
		}
	}
	return d.Once&^h.Policy.MetOnce(d.Once, fresh, true, live.now(), p.request.Once) == 0
}
