package vaultapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests by the route, so that no name, ID or token becomes a label.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_vault_api_requests_total", Help: "Requests of the KV v2 API by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "strongroom_vault_api_request_duration_seconds",
			Help:    "Time from the request's head to the end of the answer.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10), // 50 µs to 13 s
		}, []string{"route"}),
	}
	reg.MustRegister(m.requests, m.seconds)
	return m
}

func (m *metrics) observe(asked string, status int, took time.Duration) {
	if asked == "" {
		asked = "unknown"
	}
	m.requests.WithLabelValues(asked, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(asked).Observe(took.Seconds())
}
