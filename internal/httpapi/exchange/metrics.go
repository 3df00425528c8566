package exchange

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests by the route's pattern, so that no ID, key or token becomes a label.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_api_requests_total", Help: "Requests by path pattern, method and status.",
		}, []string{"path", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_api_request_duration_seconds", Help: "Time from the request's head to the end of the answer.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10), // 50 µs to 13 s
		}, []string{"path", "method"}),
	}
	reg.MustRegister(m.requests, m.seconds)
	return m
}

// series are the metrics of one path. They are found by their labels once and not anew for each request.
type series struct {
	*metrics
	path  string
	found sync.Map                // by answered: *counted
	last  atomic.Pointer[counted] // most answers are as the one before
}

type answered struct {
	method string
	status int
}

type counted struct {
	of       answered
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func (s *series) observe(method string, status int, took time.Duration) {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		method = "other" // a client may send any word
	}
	key := answered{method, status}
	c := s.last.Load()
	if c == nil || c.of != key {
		c = s.find(key)
		s.last.Store(c)
	}
	c.requests.Inc()
	c.seconds.Observe(took.Seconds())
}

func (s *series) find(key answered) *counted {
	found, ok := s.found.Load(key)
	if !ok {
		found, _ = s.found.LoadOrStore(key, &counted{key,
			s.requests.WithLabelValues(s.path, key.method, strconv.Itoa(key.status)),
			s.seconds.WithLabelValues(s.path, key.method)})
	}
	return found.(*counted)
}
