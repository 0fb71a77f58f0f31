package gate

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics live as long as the process: each configuration has a registry of
// its own, and the same collectors are registered with it. No name, address
// or path is ever a label.
var metrics = struct {
	allowed  prometheus.Counter
	stopped  *prometheus.CounterVec
	reported *prometheus.CounterVec
}{
	allowed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "stepgate_requests_allowed_total", Help: "Requests that were passed on.",
	}),
	stopped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stepgate_requests_stopped_total", Help: "Requests that were not passed on, by outcome.",
	}, []string{"outcome"}),
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
