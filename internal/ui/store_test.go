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
	c := newCurve("x", []point{{1, true}, {0, false}, {2, true}}, linear(2))
	if strings.Count(c.Path, "M") != 2 || strings.Contains(c.Path, "NaN") {
		t.Errorf("the path is %s", c.Path)
	}
	for f, want := range map[float64]float64{0: 1, 3: 5, 0.0007: 0.001, 12: 20, 100: 100} {
		if got := roundUp(f); got < want*0.999 || got > want*1.001 {
			t.Errorf("roundUp(%v) is %v, want %v", f, got, want)
		}
	}
}

func TestScales(t *testing.T) {
	at, ticks := logarithmic(duration, []point{{0.0012, true}, {0, false}, {0, true}}, []point{{0.6, true}})
	if got := strings.Join(ticks, " "); got != "1.0 s 100 ms 10 ms 1.0 ms" {
		t.Errorf("the labels are %s", got)
	}
	for v, want := range map[float64]float64{0: 0, 0.001: 0, 0.01: 1.0 / 3, 1: 1} {
		if got := at(v); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%v stands at %v, want %v", v, got, want)
		}
	}
	// Nothing, and one value that is a power of ten, are not divided by zero.
	for _, ps := range [][]point{nil, {{0.001, true}}} {
		if at, ticks := logarithmic(duration, ps); len(ticks) != 2 || at(0.001) != at(0.001) {
			t.Errorf("%v: %v", ps, ticks)
		}
	}
	if got := strings.Join(linearTicks(20, func(f float64) string { return number(int(f)) }), " "); got != "20 10 0" {
		t.Errorf("the labels are %s", got)
	}
	if got := (chart{Ticks: []string{"2", "1", "0"}}).Grid(); !strings.HasPrefix(got, "M0 0.0H600.0M0 60.0H600.0M0 120.0H600.0M150.0 0V120.0") {
		t.Errorf("the grid is %s", got)
	}
}

func TestTokenChart(t *testing.T) {
	hour := []sample{{token: point{}}, {token: point{3600, true}}, {token: point{3000, true}}}
	c := tokenChart(hour)
	if c.Empty || c.Ticks[0] != "1 hour" || c.Ticks[1] != "30 minutes" || strings.Count(c.Curves[0].Path, "M") != 1 {
		t.Errorf("the chart is %+v", c)
	}
	if !tokenChart(hour[:1]).Empty {
		t.Error("a token that does not end is drawn")
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
