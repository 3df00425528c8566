// Package refused counts the records that a running server has met and not believed, since they are forged, damaged or
// missing. It tells how many of which kind, for the metrics and /health, and no key: that is in the log.
package refused

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// told is for how long after the last one /health tells of it: what is not met in a day may be put right.
const told = 24 * time.Hour

// Records counts them. It is safe for use by many goroutines, and a prometheus.Collector. Its zero value counts none
// yet, and a nil one never any.
type Records struct {
	mu   sync.Mutex
	kind map[string]uint64
	last time.Time
}

// Add counts one. Kinds are few words, and no part of what a caller sends.
func (r *Records) Add(kind string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kind == nil {
		r.kind = make(map[string]uint64)
	}
	r.kind[kind]++
	r.last = time.Now()
}

// Problem says what was met within the last day, and what to do; "" where nothing was.
func (r *Records) Problem() string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.IsZero() || time.Since(r.last) > told {
		return ""
	}
	return fmt.Sprintf("records that are damaged, missing or not this server's were met, the last at %s (of the kinds "+
		"%s), and are not believed: run influxd check, which names them, and restore a backup",
		r.last.UTC().Format(time.RFC3339), strings.Join(slices.Sorted(maps.Keys(r.kind)), ", "))
}

var desc = prometheus.NewDesc("strongroom_records_refused_total",
	"How often records were met that are forged, damaged or missing, and so not believed, by their kind, since the "+
		"start.",
	[]string{"kind"}, nil)

// Describe implements prometheus.Collector.
func (r *Records) Describe(to chan<- *prometheus.Desc) { to <- desc }

// Collect implements prometheus.Collector. Secrets are there from the start, so that alerts find a series.
func (r *Records) Collect(to chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	send := func(kind string, n uint64) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), kind)
	}
	if r.kind[Secret] == 0 {
		send(Secret, 0)
	}
	for kind, n := range r.kind {
		send(kind, n)
	}
}

// Kinds of records that are not called by the folder that they are in.
const (
	Secret = "secret" // values, metadata, names, and changes under way
	Note   = "note"
	Server = "server"
)
