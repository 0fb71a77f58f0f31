package gate

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/watched"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// Live is what a site has once its store is open.
type Live struct {
	Ceremonies *challenge.Site
	Sessions   *session.Manager
	Recorder   *audit.Recorder
	Ring       *keys.Ring
	Store      Store
	People     watched.Names
	Turns      *weld.Turns
	Ledger     *throttle.Ledger
	// Programs finds what tokens stand for, and Uses is told of their use.
	Programs Programs
	Uses     *token.Uses
	// Rooms are pages of the gateway that are no ceremonies, by the path below
	// the prefix at which they begin: "/account". They answer only top-level
	// navigations, as all pages do.
	Rooms map[string]http.Handler

	pages    http.Handler
	status   http.Handler
	script   http.Handler // what the script in the app's pages asks
	waits    http.Handler // what the scripts of pages ask that wait
	assets   http.Handler
	watched  *watched.Site   // nil where no login form is watched
	password policy.LevelSet // what a password alone meets
	tokens   policy.LevelSet // the levels that name tokens
}

// Store is what the gate itself keeps.
type Store interface {
	weld.Store
	// RedeemTransaction spends a proof that was made for one request;
	// ceremony.ErrTransactionGone says that it is spent.
	RedeemTransaction(ctx context.Context, id string, now time.Time) error
}

func (l *Live) now() time.Time { return time.Now() }

// alive returns the site with its store open. Apps start in any order, so the
// first request may come before the app has started.
func (h *Handler) alive(ctx context.Context) (*Live, error) {
	if l := h.live.Load(); l != nil {
		return l, nil
	}
	l, err := h.Open(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	l.Ceremonies.Ahead, l.script = scripts{h}.ahead, l.Ceremonies.Live()
	l.pages = web.TopLevelOnly(h.Web, l.rooms(h.Web, l.Ceremonies.Handler()))
	l.waits = l.Ceremonies.Waits()
	l.status, l.assets = l.Ceremonies.Status(), h.Kit.Assets(h.Web)
	l.watched, l.password, l.tokens = logins{h}.newWatched(l), passwordMeets(h.Policy, time.Now()), takesTokens(h.Policy)
	h.live.CompareAndSwap(nil, l)
	return h.live.Load(), nil
}

// rooms leads to the room that a path belongs to, and to the ceremonies where
// it is none's.
func (l *Live) rooms(site *web.Site, ceremonies http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest := strings.TrimPrefix(r.URL.Path, site.Path(""))
		first, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if room, ok := l.Rooms["/"+first]; ok {
			room.ServeHTTP(w, r)
			return
		}
		ceremonies.ServeHTTP(w, r)
	})
}

// passwordMeets are the levels that whoever knows a password meets.
func passwordMeets(p *policy.Policy, now time.Time) policy.LevelSet {
	met, _ := p.MetUntil([]policy.Proof{{Factor: policy.Password, At: now}}, true, now)
	return met
}
