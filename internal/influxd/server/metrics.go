package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/audit"
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
)

// auditMetrics shows the audit log's counters. A sink is shown by its kind: everybody may read the metrics, and paths
// and addresses are not everybody's business.
type auditMetrics struct{ log *audit.Log }

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
