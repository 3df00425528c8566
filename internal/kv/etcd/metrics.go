package etcd

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/kv"
)

// metrics count and time the calls.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_etcd_calls_total",
			Help: "Calls of etcd by what they do and how they ended: ok, conflict, full, unavailable, cancelled or error.",
		}, []string{"op", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "strongroom_etcd_call_duration_seconds",
			Help:    "Time that calls of etcd took.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 4, 9), // 100 µs to 6.5 s
		}, []string{"op"}),
	}
}

func (m *metrics) observe(op string, start time.Time, err error) {
	outcome := "error"
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
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(to chan<- *prometheus.Desc) {
	s.metrics.calls.Describe(to)
	s.metrics.seconds.Describe(to)
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(to chan<- prometheus.Metric) {
	s.metrics.calls.Collect(to)
	s.metrics.seconds.Collect(to)
}
