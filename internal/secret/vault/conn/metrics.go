package conn

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store counts itself. No label holds a path, an organisation or an address.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	retries  prometheus.Counter
}

func newMetrics() metrics {
	return metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_vault_requests_total",
			Help: "Requests to Vault by what they do and how they ended: ok, mismatch (check-and-set), too large, " +
				"cancelled, or the kind of failure.",
		}, []string{"request", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "strongroom_vault_request_duration_seconds",
			Help:    "Time that requests to Vault took, repetitions included.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 4, 9), // 100 µs to 6.5 s
		}, []string{"request"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strongroom_vault_retries_total", Help: "Requests to Vault that were sent again.",
		}),
	}
}

func (m metrics) observe(r Request, start time.Time, outcome string) {
	m.requests.WithLabelValues(r.name(), outcome).Inc()
	m.seconds.WithLabelValues(r.name()).Observe(time.Since(start).Seconds())
}

// name says what a request does, without where.
func (r Request) name() string {
	switch {
	case r.Needs == "":
		return "health"
	case r.Kind == "":
		return "lookup"
	case r.Kind == "data" && r.Method == http.MethodGet:
		return "read"
	case r.Kind == "data" && r.Method == http.MethodPut:
		return "write"
	case r.Kind == "data" && r.Method == http.MethodPatch:
		return "patch"
	case r.Method == "LIST":
		return "list"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return r.Kind
}

// String names the kind as metrics do.
func (k Kind) String() string {
	return [Kinds]string{"unreachable", "slow", "sealed", "uninitialised", "denied", "busy", "failing", "unmounted",
		"strange", "untrusted"}[k]
}

// What is read off when metrics are asked for.
var (
	tokenSeconds = prometheus.NewDesc("strongroom_vault_token_remaining_seconds",
		"How long Vault's token still lasts; absent where it does not end.", nil, nil)
	logIns = prometheus.NewDesc("strongroom_vault_logins_total", "Log-ins to Vault by how they ended.",
		[]string{"outcome"}, nil)
	renewals    = prometheus.NewDesc("strongroom_vault_token_renewals_total", "Renewals of Vault's token.", nil, nil)
	breakerOpen = prometheus.NewDesc("strongroom_vault_breaker_open",
		"1 while calls are answered at once because Vault is away.", nil, nil)
	breakerTimes = prometheus.NewDesc("strongroom_vault_breaker_opened_total", "How often that began.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *Conn) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{tokenSeconds, logIns, renewals, breakerOpen, breakerTimes} {
		to <- d
	}
	c.metrics.requests.Describe(to)
	c.metrics.seconds.Describe(to)
	c.metrics.retries.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *Conn) Collect(to chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	state := c.Session.State()
	if life, ends := state.Life(time.Now()); ends {
		gauge(tokenSeconds, life.Seconds())
	}
	count(logIns, state.LogIns, "ok")
	count(logIns, state.LogInFailures, "failed")
	count(renewals, state.Renewals)
	open := 0.0
	if c.breaker.Reason() != nil {
		open = 1
	}
	gauge(breakerOpen, open)
	count(breakerTimes, c.breaker.Opened())
	c.metrics.requests.Collect(to)
	c.metrics.seconds.Collect(to)
	c.metrics.retries.Collect(to)
}

// outcome names how a request ended.
func outcome(ctx context.Context, err error) string {
	switch {
	case err == nil:
		return "ok"
	case err == ErrMismatch:
		return "mismatch"
	}
	for k := range Kinds {
		if err == told[k] {
			return k.String()
		}
	}
	if ctx.Err() != nil {
		return "cancelled"
	}
	return "too large"
}
