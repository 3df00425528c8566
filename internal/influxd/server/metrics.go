package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/audit/auditlog"
	"strongroom/internal/inflight"
	"strongroom/internal/pause"
	"strongroom/internal/pemfile"
	"strongroom/internal/refused"
	"strongroom/internal/secret/embedded/content"
)

var (
	auditLines = prometheus.NewDesc("strongroom_audit_lines_total",
		"Lines written to the audit log since the start.", nil, nil)
	auditLost = prometheus.NewDesc("strongroom_audit_refused_total",
		"Acts that did not happen because no sink of the audit log took their entry.", nil, nil)
	auditFailures = prometheus.NewDesc("strongroom_audit_sink_failures_total", "Lines a kind of sink did not take.",
		[]string{"sink"}, nil)
	auditFailing = prometheus.NewDesc("strongroom_audit_sinks_failing",
		"Sinks of a kind that did not take the last line.", []string{"sink"}, nil)
	inFlightBytes = prometheus.NewDesc("strongroom_in_flight_bytes",
		"Bytes that requests under way hold, of their bodies and answers, as they are counted.", nil, nil)
	inFlightMost = prometheus.NewDesc("strongroom_in_flight_max_bytes",
		"Bytes that all requests may hold together (--max-in-flight).", nil, nil)
	inFlightRefused = prometheus.NewDesc("strongroom_in_flight_refused_total",
		"Requests answered 503 because what they would hold found no room, since the start.", nil, nil)
	refusedAnswers = prometheus.NewDesc("strongroom_refused_answers_total",
		"Answers to who was refused, or asked for a page without being signed in, by how they went: at once, waited, "+
			"since the client asks again and again, or closed, with its connection, since too many waited.",
		[]string{"answered"}, nil)
	certificateLeft = prometheus.NewDesc("strongroom_certificate_remaining_seconds",
		"How long a certificate still lasts, less than 0 once it has ended; of several authorities, the one that "+
			"lasts longest.", []string{"certificate"}, nil)
	certificateLife = prometheus.NewDesc("strongroom_certificate_lifetime_seconds",
		"How long a certificate lasts from its beginning to its end.", []string{"certificate"}, nil)
)

// auditMetrics shows the audit log's counters. A sink is shown by its kind: everybody may read the metrics, and paths
// and addresses are not everybody's business.
type auditMetrics struct{ log *auditlog.Log }

// Describe sends the descriptions of all that Collect sends.
func (m auditMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- auditLines
	to <- auditLost
	to <- auditFailures
	to <- auditFailing
}

// Collect sends the counters as they are.
func (m auditMetrics) Collect(to chan<- prometheus.Metric) {
	stats := m.log.Stats()
	to <- prometheus.MustNewConstMetric(auditLines, prometheus.CounterValue, float64(stats.Written))
	to <- prometheus.MustNewConstMetric(auditLost, prometheus.CounterValue, float64(stats.Refused))
	failures, failing := make(map[string]uint64), make(map[string]int)
	for _, s := range stats.Sinks {
		failures[s.Kind()] += s.Failures
		if s.Failing {
			failing[s.Kind()]++
		}
	}
	for kind, n := range failures {
		to <- prometheus.MustNewConstMetric(auditFailures, prometheus.CounterValue, float64(n), kind)
		to <- prometheus.MustNewConstMetric(auditFailing, prometheus.GaugeValue, float64(failing[kind]), kind)
	}
}

// inFlightMetrics shows what requests under way hold.
type inFlightMetrics struct{ budget *inflight.Budget }

// Describe sends the descriptions of all that Collect sends.
func (inFlightMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- inFlightBytes
	to <- inFlightMost
	to <- inFlightRefused
}

// Collect sends the figures as they are.
func (m inFlightMetrics) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(inFlightBytes, prometheus.GaugeValue, float64(m.budget.Used()))
	to <- prometheus.MustNewConstMetric(inFlightMost, prometheus.GaugeValue, float64(m.budget.Size()))
	to <- prometheus.MustNewConstMetric(inFlightRefused, prometheus.CounterValue, float64(m.budget.Refused()))
}

// pauseMetrics shows how those were answered who were refused.
type pauseMetrics struct{ pauses *pause.Pauses }

// Describe sends the description of all that Collect sends.
func (pauseMetrics) Describe(to chan<- *prometheus.Desc) { to <- refusedAnswers }

// Collect sends the figures as they are.
func (m pauseMetrics) Collect(to chan<- prometheus.Metric) {
	c := m.pauses.Counts()
	for how, n := range map[string]uint64{"at once": c.AtOnce, "waited": c.Waited, "closed": c.Closed} {
		to <- prometheus.MustNewConstMetric(refusedAnswers, prometheus.CounterValue, float64(n), how)
	}
}

// certificateMetrics shows when certificates end. They are told apart by what they are for, as in /health.
type certificateMetrics []func() []pemfile.State

// Describe implements prometheus.Collector.
func (certificateMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- certificateLeft
	to <- certificateLife
}

// Collect implements prometheus.Collector.
func (m certificateMetrics) Collect(to chan<- prometheus.Metric) {
	for _, states := range m {
		for _, c := range states() {
			gauge := func(d *prometheus.Desc, of time.Duration) {
				to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, of.Seconds(), c.Name)
			}
			gauge(certificateLeft, time.Until(c.Ends))
			gauge(certificateLife, c.Ends.Sub(c.Begins))
		}
	}
}

// damaged counts a record of a secret that does not open.
func (s *Server) damaged(err error) {
	if content.Damaged(err) {
		s.refused.Add(refused.Secret)
	}
}
