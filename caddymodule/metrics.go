package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// counted live as long as the process, as those of package gate do. A label is
// always one of few words of ours: the trail's names of events, factors and
// outcomes.
var counted = struct {
	events *prometheus.CounterVec
	took   *prometheus.HistogramVec
}{
	events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stepgate_events_total", Help: "Events that the audit trail has kept: sign-ins, challenges, proofs, messages, changes to accounts.",
	}, []string{"event", "factor", "outcome"}),
	took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stepgate_store_seconds", Help: "How long the store took: a read, or a write from the wait for its turn to its commit.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 3, 11), // 0.1 ms to 6 s
	}, []string{"kind"}),
}

// watchStore counts what a store does.
func watchStore() sqldb.Watch {
	reads, writes := counted.took.WithLabelValues("read"), counted.took.WithLabelValues("write")
	return sqldb.Watch{
		Took: func(kind string, d time.Duration) {
			if kind == "write" {
				writes.Observe(d.Seconds())
				return
			}
			reads.Observe(d.Seconds())
		},
		Kept: func(e audit.Event) { counted.events.WithLabelValues(string(e.Name), e.Factor, e.Outcome).Inc() },
	}
}

// registerMetrics makes all collectors part of a configuration's registry.
func (a *App) registerMetrics(ctx caddy.Context) error {
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	err := gate.RegisterMetrics(registry)
	for _, c := range []prometheus.Collector{counted.events, counted.took, present{a}} {
		var already prometheus.AlreadyRegisteredError
		if wrong := registry.Register(c); wrong != nil && !errors.As(wrong, &already) {
			err = errors.Join(err, wrong)
		}
	}
	return err
}

// present collects what is so at the moment of the question. While the store
// does not answer it leaves out what only the store knows.
type present struct{ app *App }

// askTimeout is how long a collection waits for the store.
const askTimeout = 2 * time.Second

func described(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	sessionsDesc = described("stepgate_sessions_in_memory", "Sessions that this node has in memory.")
	lookupsDesc  = described("stepgate_session_lookups_total", "Look-ups of sessions, by where they were found; what memory lacks is one read of the store.", "from")
	answersDesc  = described("stepgate_store_answers", "1 while the store answers, 0 while it does not.")
	feedDesc     = described("stepgate_feed_age_seconds", "How long ago the store's feed of changes last answered.")
	waitingDesc  = described("stepgate_outbox_messages", "Messages that wait to be sent.")
	overdueDesc  = described("stepgate_outbox_overdue_seconds", "How long the oldest of them has been due.")
	sentDesc     = described("stepgate_messages_this_month", "Messages of any kind sent in this calendar month (UTC), by channel.", "channel")
	limitDesc    = described("stepgate_messages_limit", "How many may be sent in a calendar month, by channel, where there is a limit.", "channel")
)

// Describe implements prometheus.Collector.
func (present) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sessionsDesc, lookupsDesc, answersDesc, feedDesc, waitingDesc, overdueDesc, sentDesc, limitDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (p present) Collect(to chan<- prometheus.Metric) {
	r := active.Load()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if r == nil {
		gauge(answersDesc, 0)
		return
	}
	numbers := r.sessions.Numbers()
	gauge(sessionsDesc, float64(numbers.Entries))
	for from, n := range map[string]uint64{"memory": numbers.Found, "store": numbers.Missed} {
		to <- prometheus.MustNewConstMetric(lookupsDesc, prometheus.CounterValue, float64(n), from)
	}
	heard, answers := r.sessions.Heard()
	gauge(feedDesc, time.Since(heard).Seconds())
	if !answers {
		gauge(answersDesc, 0)
		return
	}
	gauge(answersDesc, 1)
	p.collectMessages(r, gauge)
}

func (p present) collectMessages(r *runtime, gauge func(*prometheus.Desc, float64, ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	now := time.Now()
	if n, since, err := r.store.WaitingMessages(ctx, now); err == nil {
		gauge(waitingDesc, float64(n))
		overdue := 0.0
		if !since.IsZero() {
			overdue = now.Sub(since).Seconds()
		}
		gauge(overdueDesc, overdue)
	}
	all, err := r.messages(p.app)(ctx)
	if err != nil {
		return
	}
	for _, m := range all {
		gauge(sentDesc, float64(m.Sent), m.Channel)
		if m.Limit >= 0 {
			gauge(limitDesc, float64(m.Limit), m.Channel)
		}
	}
}
