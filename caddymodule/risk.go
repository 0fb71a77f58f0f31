package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/risk"
)

// riskSettings are the app's, with what else of it matters. Networks that are
// none are told by Validate.
func (a *App) riskSettings() risk.Settings {
	s := risk.Settings{Places: a.GeoIP != ""}
	if a.Risk != nil {
		s.Weights, s.Medium, s.High, s.Absence = a.Risk.Weights, a.Risk.Medium, a.Risk.High, time.Duration(a.Risk.Absence)
	}
	for _, cidr := range a.InternalNetworks {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			s.Internal = append(s.Internal, p)
		}
	}
	return s
}

// asksRisk tells whether a policy asks how unusual a session looks.
func asksRisk(configs ...*policy.Config) bool {
	asks := func(all []policy.RaiseConfig) bool {
		return slices.ContainsFunc(all, func(raise policy.RaiseConfig) bool {
			return slices.ContainsFunc(raise.Conditions, func(c policy.ConditionConfig) bool { return c.Kind == "risk" })
		})
	}
	return slices.ContainsFunc(configs, func(c *policy.Config) bool {
		return c != nil && (asks(c.Raises) || slices.ContainsFunc(c.Rules, func(r policy.RuleConfig) bool { return asks(r.Raises) }))
	})
}

// scorer gathers what is known of a visit and has it scored.
type scorer struct {
	app *App
	r   *runtime
}

// Score implements challenge.Scorer.
func (s scorer) Score(ctx context.Context, v challenge.Visit) challenge.Score {
	provedAt, turn := s.recognise(ctx, v)
	if v.ProvedAt.After(provedAt) {
		provedAt = v.ProvedAt
	}
	facts := s.facts(ctx, v.Account, v.Address, provedAt)
	facts.Failures, facts.BrowserChanged = v.Failed, v.BrowserChanged
	a := risk.Assess(facts, s.app.riskSettings())
	score := challenge.Score{Risk: a.Risk, Turn: turn, Detail: []audit.Field{{Key: "risk", Value: a.Risk}, {Key: "risk_sum", Value: strconv.Itoa(a.Sum)}}}
	for _, f := range a.Findings {
		if !f.Counts {
			continue
		}
		weight := strconv.Itoa(f.Weight)
		if f.Unknown {
			weight += " (not known)"
		}
		score.Detail = append(score.Detail, audit.Field{Key: "risk_" + f.Signal, Value: weight})
		if f.Signal == "impossible_travel" && !f.Unknown {
			s.tellTravel(ctx, v)
		}
	}
	return score
}

// tellTravel keeps the event of a journey that nobody can have made. That it
// is lost keeps nobody out: the risk has it too.
func (s scorer) tellTravel(ctx context.Context, v challenge.Visit) {
	_ = s.r.recorder.Record(ctx, audit.Event{
		At: time.Now().UTC(), Name: audit.ImpossibleTravel, Account: string(v.Account), Actor: string(v.Account), Site: v.Site, Address: v.Address.String(),
	})
}

// facts are those of a visit but for what its request alone tells. What cannot
// be read is left unknown.
func (s scorer) facts(ctx context.Context, owner account.ID, address netip.Addr, provedAt time.Time) risk.Facts {
	now := time.Now()
	f := risk.Facts{Now: now, Address: address, Place: s.app.place(address), FailuresKnown: true}
	kept, err := s.r.store.Visits(ctx, owner)
	var known memory
	if err == nil {
		known, err = recall(kept)
	}
	f.Visits, f.VisitsKnown = known.Visits, err == nil
	resets, resetErr := s.r.store.Events(ctx, audit.Query{
		Account: string(owner), Names: []audit.Name{audit.PasswordChange, audit.FactorReset, audit.RecoveryCompleted}, Since: now.Add(-s.life()), Limit: 1,
	})
	if f.ResetKnown = resetErr == nil; resetErr == nil && len(resets) > 0 {
		f.ResetAt = resets[0].Event.At
	}
	denials, deniedErr := s.r.store.Events(ctx, audit.Query{
		Account: string(owner), Names: []audit.Name{audit.RequestDenied}, Since: now.Add(-risk.DenialWindow), Limit: 1,
	})
	if f.DenialKnown = deniedErr == nil; deniedErr == nil && len(denials) > 0 {
		f.DeniedAt = denials[0].Event.At
	}
	// A reset makes every browser one that nobody knows.
	f.DeviceKnown = f.ResetKnown && now.Sub(provedAt) < s.life() && !provedAt.Before(f.ResetAt.Truncate(time.Second))
	if err = errors.Join(err, resetErr, deniedErr); err != nil {
		s.r.log.Error("find out how unusual a visit is", zap.Error(err))
	}
	return f
}

// view is the score that somebody would get now, for a command.
func (s scorer) view(ctx context.Context, owner account.ID, address netip.Addr, known bool) operation.RiskView {
	if s.app.countries.Load() == nil { // no gateway runs here
		if err := s.app.openGeoIP(); err != nil {
			s.r.log.Error("look places up", zap.Error(err))
		}
	}
	var provedAt time.Time
	if known {
		provedAt = time.Now()
	}
	return riskView(risk.Assess(s.facts(ctx, owner, address, provedAt), s.app.riskSettings()))
}

func riskView(a risk.Assessment) operation.RiskView {
	view := operation.RiskView{Risk: a.Risk, Sum: a.Sum, Medium: a.Medium, High: a.High}
	for _, f := range a.Findings {
		view.Signals = append(view.Signals, operation.SignalView(f))
	}
	return view
}

// checkRisk tells what is wrong with how risk is scored.
func (a *App) checkRisk() error {
	settings := a.riskSettings()
	if err := settings.Check(); err != nil {
		return fmt.Errorf("risk: %w; the signals are %s", err, strings.Join(risk.Names(), ", "))
	}
	if settings.Absence < 0 {
		return errors.New("risk absence: a duration must be longer than nothing")
	}
	return nil
}
