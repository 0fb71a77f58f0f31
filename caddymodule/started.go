package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// started puts a store that is open into force.
func (a *App) started(r *runtime) {
	active.Store(r)
	a.logger.Info("started", zap.String("store", r.storeName), zap.Int("sites", len(a.sites)))
	a.greet(a.ctx, r)
	a.tellConfiguration(r)
	a.forward(r)
	a.recheck(r)
	for _, site := range a.sites {
		site.warnAboutEnded(time.Now())
		site.warnAboutQuestions()
	}
}

// greet tells an operator with an empty store what to do next.
func (a *App) greet(ctx context.Context, r *runtime) {
	any, err := r.store.AnyAccount(ctx)
	if err != nil || any {
		return
	}
	a.logger.Warn("no account exists yet; add the first owner with: stepgate user add NAME --role owner --password-stdin",
		zap.String("store", r.storeName))
}
