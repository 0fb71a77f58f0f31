package caddymodule

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
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
	a.logger.Warn("no account exists yet; "+firstOwner(a.peopleSources()), zap.String("store", r.storeName))
}

// firstOwner says how the first owner comes into being where people sign in at
// these sources: local accounts have a password here, the others none, and
// where a source keeps people by what it alone knows, they sign in first.
func firstOwner(sources []people.Source) string {
	local := func(s people.Source) bool { return s.Name == account.LocalSource }
	if len(sources) == 0 || slices.ContainsFunc(sources, local) {
		return "add the first owner with: stepgate user add NAME --role owner --password-stdin"
	}
	named := slices.IndexFunc(sources, func(s people.Source) bool { return s.SubjectIsName })
	if named < 0 {
		return "let the first owner sign in once, then: stepgate user edit NAME --role owner"
	}
	add := "add the first owner, by the name that they sign in with: stepgate user add NAME --role owner"
	if len(sources) > 1 {
		add += " --source " + sources[named].Name
	}
	return add
}
