package gate

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stepgate/stepgate/policy"
)

// metrics live as long as the process: each configuration has a registry of
// its own, and the same collectors are registered with it. No name, address
// or path is ever a label.
var metrics = struct{ allowed, stopped, reported *prometheus.CounterVec }{
	allowed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stepgate_requests_allowed_total", Help: "Requests that were passed on, by the levels that they needed.",
	}, []string{"levels"}),
	stopped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stepgate_requests_stopped_total", Help: "Requests that were not passed on, by outcome and the levels that they needed.",
	}, []string{"outcome", "levels"}),
	reported: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stepgate_report_only_total", Help: "Requests that a report_only policy would not have passed on, by outcome.",
	}, []string{"outcome"}),
}

// RegisterMetrics makes the collectors part of a configuration's registry.
func RegisterMetrics(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{metrics.allowed, metrics.stopped, metrics.reported} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

// Outcomes of requests that no policy decided.
const (
	outcomeMalformed   = "malformed"
	outcomeUnavailable = "unavailable"
)

// tally is what is told of a request that needed a certain set of levels.
type tally struct {
	levels  string // their names, with a blank between
	allowed prometheus.Counter
}

// tally finds the tally of a set, made at its first request. There are as many
// as the policy has different answers.
func (h trail) tally(needed policy.LevelSet) *tally {
	known := h.tallies.Load()
	if known != nil {
		if t := (*known)[needed]; t != nil {
			return t
		}
	}
	t := &tally{levels: strings.Join(h.Policy.LevelNames(needed), " ")}
	t.allowed = metrics.allowed.WithLabelValues(t.levels)
	next := map[policy.LevelSet]*tally{}
	if known != nil {
		next = maps.Clone(*known)
	}
	next[needed] = t
	h.tallies.CompareAndSwap(known, &next) // who loses makes it again
	return t
}

// tellAllowed tells those who watch from outside of a request that is passed on.
func (h trail) tellAllowed(r *http.Request, d policy.Decision) {
	t := h.tally(d.Needed)
	t.allowed.Inc()
	h.Server.Note(r, policy.Allow.String(), t.levels, "")
}

// tellStopped tells them of one that is not.
func (h trail) tellStopped(r *http.Request, outcome string, needed policy.LevelSet, reference string) {
	levels := strings.Join(h.Policy.LevelNames(needed), " ")
	metrics.stopped.WithLabelValues(outcome, levels).Inc()
	h.Server.Note(r, outcome, levels, reference)
}
