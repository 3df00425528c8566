// Package hour keeps what the secret store did in the last hour, in samples of ten seconds, and draws it.
//
// It is for operators without a Prometheus beside the server: on the store's page they see when calls began to fail or
// to be slow, and whether Vault's token was renewed. A sample takes 0.1 ms of a processor, and the hour about 100 KB.
package hour

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"strongroom/internal/secret"
)

// The store is looked at every sampleEvery, and the last hour is kept.
const (
	sampleEvery = 10 * time.Second
	samplesKept = 360
	checkTime   = 3 * time.Second
	// checkedFor is how long a check's outcome is shown before the page asks anew.
	checkedFor = 5 * time.Second
)

// The metrics of package metered.
const (
	metricSeconds = "strongroom_secret_store_duration_seconds"
	metricCalls   = "strongroom_secret_store_calls_total"
	// metricToken is how long Vault's token lasts, absent where it does not end.
	metricToken = "strongroom_vault_token_remaining_seconds"
)

// sample is what the store did in one span of time.
type sample struct {
	at     time.Time
	calls  float64
	failed float64
	// within counts the calls by how long they took at most, as the histogram's buckets do.
	within []bucket
	token  point // seconds that Vault's token lasts, where there is one that ends
}

type bucket struct {
	seconds float64
	count   float64
}

// Hour remembers the store's last hour, in one ring. Make it with New, and Run it.
type Hour struct {
	store  secret.Store
	gather prometheus.Gatherer
	name   string
	now    func() time.Time

	checking sync.Mutex // one check runs at a time

	mu     sync.Mutex
	last   sample // counters since the start
	ring   []sample
	health error
	asked  time.Time // for the health
}

// New makes the memory of a store that the metrics know under a name. Without gather it knows whether the store
// can serve, and no more.
func New(store secret.Store, gather prometheus.Gatherer, name string, now func() time.Time) *Hour {
	return &Hour{store: store, gather: gather, name: name, now: now}
}

// Run looks at the store every ten seconds until ctx ends.
func (s *Hour) Run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look keeps what the store did since the last look, and whether it can serve.
func (s *Hour) Look(ctx context.Context) {
	s.take()
	_, _ = s.check(ctx, 0) // State gives it
}

// check asks the store whether it can serve, unless it was asked within that time, and gives the outcome.
func (s *Hour) check(ctx context.Context, within time.Duration) (at time.Time, err error) {
	s.checking.Lock()
	defer s.checking.Unlock()
	if at, err = s.checked(); s.now().Sub(at) < within {
		return at, err
	}
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err = s.store.Check(bounded)
	if ctx.Err() != nil { // the server ends; the store has not said anything
		return s.now(), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health, s.asked = err, s.now()
	return s.asked, s.health
}

// checked is when the store was asked last, and the outcome.
func (s *Hour) checked() (at time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.health
}

// State is the last check's outcome, made anew where it is old. All readers are shown it, so that it does not depend on
// whether the one for whom it is made has left meanwhile.
func (s *Hour) State(ctx context.Context) (at time.Time, err error) {
	if at, err = s.checked(); s.now().Sub(at) < checkedFor {
		return at, err
	}
	return s.check(context.WithoutCancel(ctx), checkedFor)
}

// take reads the counters and keeps what they grew by.
func (s *Hour) take() {
	if s.gather == nil {
		return
	}
	families, err := s.gather.Gather()
	if err != nil && len(families) == 0 {
		return // the next look makes up for it
	}
	total := sample{at: s.now()}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == metricToken {
				total.token = point{m.GetGauge().GetValue(), true, time.Time{}}
			}
			if label(m, "store") != s.name {
				continue
			}
			switch f.GetName() {
			case metricSeconds:
				total.addHistogram(m.GetHistogram())
			case metricCalls:
				n := m.GetCounter().GetValue()
				total.calls += n
				switch label(m, "outcome") {
				case "ok", "cancelled", "not found", "precondition failed":
				default:
					total.failed += n
				}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.at.IsZero() {
		s.ring = append(s.ring, total.since(s.last))
		if len(s.ring) > samplesKept {
			s.ring = s.ring[1:]
		}
	}
	s.last = total
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func (s *sample) addHistogram(h *dto.Histogram) {
	for i, b := range h.GetBucket() {
		if i == len(s.within) {
			s.within = append(s.within, bucket{seconds: b.GetUpperBound()})
		}
		s.within[i].count += float64(b.GetCumulativeCount())
	}
}

// since is what came after an earlier reading of the counters.
func (s sample) since(before sample) sample {
	d := sample{at: s.at, calls: s.calls - before.calls, failed: s.failed - before.failed, token: s.token}
	for i, b := range s.within {
		if i < len(before.within) {
			b.count -= before.within[i].count
		}
		d.within = append(d.within, b)
	}
	return d
}

// quantile is the time in which a part of the calls were done, found within its bucket by proportion, as Prometheus'
// histogram_quantile does. It is not ok where there were no calls.
func (s sample) quantile(q float64) (seconds float64, ok bool) {
	if s.calls <= 0 || len(s.within) == 0 {
		return 0, false
	}
	want := q * s.calls
	low, below := 0.0, 0.0
	for _, b := range s.within {
		if b.count >= want && b.count > below {
			return low + (b.seconds-low)*(want-below)/(b.count-below), true
		}
		low, below = b.seconds, b.count
	}
	return low, true // longer than the last bucket
}

// kept is a copy of the ring.
func (s *Hour) kept() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sample(nil), s.ring...)
}
