package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/kv"
)

// metrics count and time the calls.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	held    prometheus.Gauge
	lost    prometheus.Counter
	broken  prometheus.Counter
	behind  prometheus.GaugeFunc

	mu    sync.Mutex
	known map[*time.Time]bool // until when each watch has told all
}

func newMetrics() *metrics {
	m := &metrics{
		known: make(map[*time.Time]bool),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_etcd_calls_total",
			Help: "Calls of etcd by what they do and how they ended: ok, conflict, full, unavailable, " +
				"cancelled or error.",
		}, []string{"op", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "strongroom_etcd_call_duration_seconds",
			Help:    "Time that calls of etcd took.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 4, 9), // 100 µs to 6.5 s
		}, []string{"op"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "strongroom_etcd_holds",
			Help: "Names that this server holds: what it does for all servers.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strongroom_etcd_holds_lost_total",
			Help: "Names that this server held and lost, since it did not reach etcd.",
		}),
		broken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strongroom_etcd_watches_broken_total",
			Help: "Watches that ended because etcd was silent, out of reach or had forgotten what they were to tell.",
		}),
	}
	m.behind = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "strongroom_etcd_watch_behind_seconds",
		Help: "How long ago all was known that other servers had changed, by the watch that is furthest behind; 0 " +
			"without a watch.",
	}, m.furthest)
	return m
}

// furthest is how far the watch is behind that is furthest.
func (m *metrics) furthest() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var most time.Duration
	for at := range m.known {
		most = max(most, time.Since(*at))
	}
	return most.Seconds()
}

// watching counts a watch, which begins to know now, until ended is called with what it ends with.
func (m *metrics) watching() (knows func(time.Time), ended func(error)) {
	at := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[&at] = true
	knows = func(now time.Time) {
		m.mu.Lock()
		defer m.mu.Unlock()
		at = now
	}
	return knows, func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.known, &at)
		if errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrLagging) {
			m.broken.Inc()
		}
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.seconds, m.held, m.lost, m.broken, m.behind}
}

// observe notes how a call went, and gives the word for how it ended.
func (m *metrics) observe(op string, start time.Time, err error) (outcome string) {
	outcome = "error"
	switch {
	case err == nil, errors.Is(err, kv.ErrNotFound):
		outcome = "ok"
	case errors.Is(err, kv.ErrConflict):
		outcome = "conflict"
	case errors.Is(err, kv.ErrFull):
		outcome = "full"
	case errors.Is(err, kv.ErrUnavailable):
		outcome = "unavailable"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		outcome = "cancelled"
	}
	m.calls.WithLabelValues(op, outcome).Inc()
	m.seconds.WithLabelValues(op).Observe(time.Since(start).Seconds())
	return outcome
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(to chan<- *prometheus.Desc) {
	for _, c := range s.metrics.all() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(to chan<- prometheus.Metric) {
	for _, c := range s.metrics.all() {
		c.Collect(to)
	}
}
