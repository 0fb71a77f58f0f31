package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/policy/author"
)

// configured is what a configuration of this process was, as far as the next one
// is compared with it.
type configured struct {
	digest string
	sites  []*author.Site
}

// before is the configuration that was in force last, for each store.
var before struct {
	sync.Mutex
	of map[string]configured
}

// digestField is the detail of ConfigLoaded that names a configuration.
const digestField = "digest"

// maxTold bounds the weakenings that an event lists.
const maxTold = 20

// written is the JSON of the app and of its sites as Caddy gave it, which is
// kept no longer than it takes to draw and to digest it.
func (a *App) written() []byte {
	type route struct {
		Handle []json.RawMessage `json:"handle"`
	}
	var gates []json.RawMessage
	for _, h := range a.sites {
		gates = append(gates, h.asWritten)
	}
	whole, _ := json.Marshal(map[string]any{"apps": map[string]any{
		"http": map[string]any{"servers": map[string]any{"stepgate": map[string]any{"routes": []route{{Handle: gates}}}}}, "stepgate": a.asWritten,
	}})
	return whole
}

// configuration is what this one is compared by.
func (a *App) configuration() configured {
	whole := a.written()
	sum := sha256.Sum256(whole)
	d := &drawing{raw: whole, app: a, gates: slices.Clone(a.sites)}
	return configured{digest: hex.EncodeToString(sum[:]), sites: d.Sites()}
}

// tellConfiguration writes into the audit trail that this configuration is in
// force, what was before, and what has become weaker by `policy diff`. Comparing
// takes a while, and nobody waits for it.
func (a *App) tellConfiguration(r *runtime) {
	now := a.configuration()
	before.Lock()
	was, reload := before.of[r.storeName]
	if before.of == nil {
		before.of = map[string]configured{}
	}
	before.of[r.storeName] = now
	before.Unlock()
	r.running.Go(func() {
		e := audit.Event{At: time.Now().UTC(), Name: audit.ConfigLoaded, Actor: "operator", Outcome: "success", Reason: "start"}
		if reload {
			e.Reason = "reload"
		}
		e.Detail = []audit.Field{{Key: digestField, Value: now.digest}}
		old := was.digest
		if !reload {
			old = r.lastDigest()
		}
		if old != "" {
			e.Detail = append(e.Detail, audit.Field{Key: "digest_before", Value: old})
		}
		switch {
		case old == now.digest:
			e.Detail = append(e.Detail, audit.Field{Key: "changed", Value: "no"})
		case reload:
			e.Detail = append(e.Detail, weakened(was.sites, now.sites)...)
			was.sites = nil
		case old != "":
			e.Detail = append(e.Detail, audit.Field{Key: "weaker", Value: "unknown: the gateway was stopped in between"})
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.recorder.Record(ctx, e); err != nil {
			r.log.Error("keep the event of a configuration", zap.Error(err))
		}
		if now.rules() > largePolicy {
			debug.FreeOSMemory()
		}
	})
}

// largePolicy is how many rules are so many that reading them leaves memory
// behind that is worth giving back at once: the process would keep twice what
// it needs.
const largePolicy = 5000

func (c configured) rules() int {
	n := 0
	for _, site := range c.sites {
		n += len(site.Config.Rules)
	}
	return n
}

// lastDigest is that of the configuration that was loaded last, by any process.
func (r *runtime) lastDigest() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	loaded, err := r.store.Events(ctx, audit.Query{Names: []audit.Name{audit.ConfigLoaded}, Limit: 1})
	if err != nil || len(loaded) == 0 {
		return ""
	}
	for _, f := range loaded[0].Detail {
		if f.Key == digestField {
			return f.Value
		}
	}
	return ""
}

// weakened lists what may let somebody through who was not let through.
func weakened(was, is []*author.Site) []audit.Field {
	var all []audit.Field
	tell := func(text string) { all = append(all, audit.Field{Key: "weaker", Value: text}) }
	for _, pair := range author.Pair(was, is) {
		if gone, ok := pair.Gate(); ok {
			if gone.Direction.MayWeaken() {
				tell(pair.Origin() + ": " + gone.Text)
			}
			continue
		}
		difference, err := author.Diff(pair.Was, pair.Is, time.Now())
		if err != nil || !difference.Complete {
			tell(pair.Origin() + ": not everything could be compared")
		}
		for _, c := range difference.Changes {
			if c.Direction.MayWeaken() {
				tell(fmt.Sprintf("%s %s: %v -> %v (%s)", pair.Origin(), c.Request, c.Old, c.New, c.Direction))
			}
		}
		for _, c := range author.DiffSettings(pair.Was, pair.Is) {
			if c.Direction.MayWeaken() {
				tell(fmt.Sprintf("%s %s: %s -> %s (%s)", pair.Origin(), c.Setting, c.Old, c.New, c.Direction))
			}
		}
	}
	if len(all) == 0 {
		return []audit.Field{{Key: "weaker", Value: "nothing"}}
	}
	if left := len(all) - maxTold; left > 0 {
		all = append(all[:maxTold], audit.Field{Key: "weaker", Value: fmt.Sprintf("and %d more", left)})
	}
	return all
}
