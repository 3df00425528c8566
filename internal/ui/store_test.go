package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
)

// sick is a store that cannot serve.
type sick struct{ secret.Store }

func (sick) Check(context.Context) error { return errs.New(errs.Unavailable, "Vault is sealed") }

func TestStorePage(t *testing.T) {
	s, b := setUp(t)
	b.get("/store").wants(t, 200, "is well", "nothing to draw")
	s.ui.samples.take()
	for i := range 3 {
		s.put(fmt.Sprintf("k%d", i))
		s.ahead += sampleEvery
		s.ui.samples.take()
	}
	p := b.get("/store")
	p.wants(t, 200, "calls in the last hour</dt><dd>3<", "failed</dt><dd>0<", `<path class="curve c01"`, "Checked")
	s.ui.samples.store = sick{s.store}
	s.ahead += time.Minute
	b.get("/store").wants(t, 200, "cannot serve", "Vault is sealed")
}

func TestRingIsBounded(t *testing.T) {
	s, _ := setUp(t)
	for range samplesKept + 20 {
		s.ui.samples.take()
	}
	if n := len(s.ui.samples.hour()); n != samplesKept {
		t.Errorf("%d samples are kept, want %d", n, samplesKept)
	}
}

func TestQuantile(t *testing.T) {
	for name, tt := range map[string]struct {
		s    sample
		q    float64
		want float64
		ok   bool
	}{
		"no calls":    {sample{within: []bucket{{1, 0}}}, 0.5, 0, false},
		"no buckets":  {sample{calls: 3}, 0.5, 0, false},
		"first":       {sample{calls: 4, within: []bucket{{0.010, 4}, {0.040, 4}}}, 0.5, 0.005, true},
		"second":      {sample{calls: 4, within: []bucket{{0.010, 2}, {0.040, 4}}}, 0.75, 0.025, true},
		"beyond them": {sample{calls: 4, within: []bucket{{0.010, 0}, {0.040, 1}}}, 0.95, 0.040, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := tt.s.quantile(tt.q)
			if ok != tt.ok || got-tt.want > 1e-9 || tt.want-got > 1e-9 {
				t.Errorf("got %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestCurveIsBrokenWhereNothingWas(t *testing.T) {
	c := newCurve("x", []point{{1, true}, {0, false}, {2, true}}, 2)
	if strings.Count(c.Path, "M") != 2 || strings.Contains(c.Path, "NaN") {
		t.Errorf("the path is %s", c.Path)
	}
	for f, want := range map[float64]float64{0: 1, 3: 5, 0.0007: 0.001, 12: 20, 100: 100} {
		if got := roundUp(f); got < want*0.999 || got > want*1.001 {
			t.Errorf("roundUp(%v) is %v, want %v", f, got, want)
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "just now", 44 * time.Second: "just now", 50 * time.Second: "1 minute ago", 3 * time.Minute: "3 minutes ago",
		59*time.Minute + 45*time.Second: "1 hour ago", 23 * time.Hour: "23 hours ago", day: "1 day ago", 59 * day: "59 days ago",
		90 * day: "3 months ago", 365 * day: "12 months ago", 730 * day: "2 years ago", -10 * time.Second: "in a moment",
		-30 * day: "in 30 days", -89*day - 23*time.Hour: "in 3 months", -2 * time.Minute: "in 2 minutes",
	} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v ago is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 secrets", 1: "1 secret", 1000: "1,000 secrets", 1234567: "1,234,567 secrets"} {
		if got := count(n, "secret"); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
