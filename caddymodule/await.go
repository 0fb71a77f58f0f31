package caddymodule

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// openAgain is how long it is from one try to open the store until the next.
const openAgain = time.Second

// awaiting is a store that was not there when the app started. Meanwhile sites
// serve their public paths.
type awaiting struct {
	err  atomic.Pointer[error] // why there is no store; nil where there is, or nobody has tried
	end  context.CancelFunc
	done sync.WaitGroup
}

// mayAwait tells whether the app may start without its store: nothing ran
// before that a refused configuration would leave in force, and what can be
// known of the key file is right.
func (a *App) mayAwait(err error) error {
	if !sqldb.Away(err) || active.Load() != nil {
		return err
	}
	if _, wrong := a.keySource().Load(a.ctx); wrong != nil && !errors.Is(wrong, os.ErrNotExist) {
		return wrong
	}
	return nil
}

// await opens the store as soon as it is there.
func (a *App) await(err error) {
	a.logger.Error("the store cannot be reached: public paths are served, all others answer 503; it is tried again every second",
		zap.String("store", a.Store.name()), zap.Error(err))
	a.awaiting.err.Store(&err)
	ctx, end := context.WithCancel(a.ctx)
	a.awaiting.end = end
	a.awaiting.done.Go(func() {
		defer end()
		tick := time.NewTicker(openAgain)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			r, again := a.openNow(ctx)
			if again == nil {
				a.awaiting.err.Store(nil)
				a.started(r)
				return
			}
			if again.Error() != err.Error() && ctx.Err() == nil {
				a.logger.Error("the store cannot be opened", zap.Error(again))
			}
			err = again
			a.awaiting.err.Store(&again)
		}
	})
}

// stop gives up waiting.
func (w *awaiting) stop() {
	if w.end != nil {
		w.end()
		w.done.Wait()
	}
}
