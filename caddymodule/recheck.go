package caddymodule

import (
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/signin"
)

// rechecking asks the sources of a configuration again about people who are
// signed in, until stop.
type rechecking struct {
	end  context.CancelFunc
	done sync.WaitGroup
}

// recheck begins it. Sites that name the same source have one directory.
func (a *App) recheck(r *runtime) {
	var all []signin.Rechecker
	for _, site := range a.sites {
		sources, err := site.openSources(a.ctx, r)
		if err != nil {
			a.logger.Error("a sign-in source cannot be opened", zap.Error(err))
			continue
		}
		for _, one := range sources {
			again, ok := one.(signin.Rechecker)
			if ok && !slices.ContainsFunc(all, func(s signin.Rechecker) bool { return s.Name() == again.Name() }) {
				all = append(all, again)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	rounds := &people.Rechecks{People: r.people, Store: r.store, Sources: all, Tell: func(source string, err error) {
		a.logger.Warn("a source cannot tell of people who are signed in whether they may still be here; they go on",
			zap.String("source", source), zap.Error(err))
	}}
	ctx, end := context.WithCancel(a.ctx)
	a.rechecking = &rechecking{end: end}
	a.rechecking.done.Go(func() { rounds.Run(ctx) })
}

// stop waits for what is being asked.
func (w *rechecking) stop() {
	if w != nil {
		w.end()
		w.done.Wait()
	}
}
