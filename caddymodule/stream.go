package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// superviseEvery is how often an open stream's session is looked at: well
// within the five seconds of the contract's section 6.
const superviseEvery = time.Second

// supervise makes a request whose answer may stay open, a WebSocket or an
// event stream, end with its session or with a level of its path. Other
// requests stay as they are; an event stream that was not asked for by name
// shows in the answer's header.
func (o *outgoing) supervise(r *http.Request) *http.Request {
	if !o.private || o.visitor.entry == nil || !opensStream(r) {
		return r
	}
	ctx, cancel := context.WithCancel(r.Context())
	o.release = cancel
	go o.watchSession(ctx, cancel)
	return r.WithContext(ctx)
}

// superviseAnswer is supervise for an answer that turns out to be a stream.
func (o *outgoing) superviseAnswer(h http.Header) {
	if !o.private || o.visitor.entry == nil || o.release != nil || !eventStream(h.Get("Content-Type")) {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.release = cancel
	go o.watchSession(ctx, o.cut)
}

// finish ends the supervision with the answer.
func (o *outgoing) finish() {
	if o.release != nil {
		o.release()
	}
}

func opensStream(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 || eventStream(r.Header.Get("Accept"))
}

func eventStream(contentType string) bool {
	return contentType != "" && strings.Contains(strings.ToLower(contentType), "text/event-stream")
}

// watchSession ends a stream when its session has ended, or lost a level that
// the stream was opened with.
func (o *outgoing) watchSession(ctx context.Context, end func()) {
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !o.handler.stillMeets(ctx, o.visitor, o.needed) {
			end()
			return
		}
	}
}

func (h *Handler) stillMeets(ctx context.Context, v visitor, needed policy.LevelSet) bool {
	live := h.live.Load()
	row, err := live.runtime.sessions.Current(ctx, v.entry)
	if err != nil {
		return false
	}
	return h.KeepStream || needed&^h.policy.Met(row.Proofs, true, live.now()) == 0
}

// coversPages tells whether a request fetches a service worker whose scope
// would take in the gateway's own pages: scripts of the application must not
// answer for them. The scope is the script's folder, for the header that
// widens it does not leave (Service Workers §7).
func (h *Handler) coversPages(r *http.Request) bool {
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

// spend burns the proofs that were made for this one request, before the
// upstream sees it. It is true where there are none to spend; false where one
// has opened a request already, also in a race, or where that cannot be known.
func (h *Handler) spend(r *http.Request, v visitor, d policy.Decision, p *passage) bool {
	if d.Once == 0 {
		return h.redeem(r, p, v)
	}
	live := h.live.Load()
	var fresh []policy.Proof
	for _, proof := range v.entry.Session.Proofs {
		if proof.Once == "" || proof.Once != p.request.Once {
			continue
		}
		id := ceremony.OnceTransaction(v.entry.Session.ID, proof)
		if live.runtime.store.RedeemTransaction(r.Context(), id, live.now()) == nil {
			fresh = append(fresh, proof)
		}
	}
	return d.Once&^h.policy.MetOnce(d.Once, fresh, true, live.now(), p.request.Once) == 0 && h.redeem(r, p, v)
}
