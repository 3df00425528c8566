package near

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	known, unknown prometheus.Counter
	bytes, records prometheus.GaugeFunc
}

func newMetrics(s *Store) metrics {
	recalled := func(from string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name: "strongroom_near_recalls_total",
			Help: "Records that were looked for in memory, by whether they were found there: memory, or engine, " +
				"which had to be asked.",
			ConstLabels: prometheus.Labels{"from": from},
		})
	}
	gauge := func(name, help string, value func() int) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return float64(value())
		})
	}
	return metrics{
		known: recalled("memory"), unknown: recalled("engine"),
		bytes: gauge("strongroom_near_bytes", "What the records in memory take, about.",
			func() int { return s.bytes }),
		records: gauge("strongroom_near_records", "Records in memory, as etcd's watch keeps them.",
			func() int { return s.kept.Len() }),
	}
}

func (m *metrics) count(known bool) {
	if known {
		m.known.Inc()
	} else {
		m.unknown.Inc()
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.known, m.unknown, m.bytes, m.records}
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
