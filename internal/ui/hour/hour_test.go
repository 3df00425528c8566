package hour

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/secret"
	"strongroom/internal/ui/words"
)

// well is a store that can serve.
type well struct{ secret.Store }

func (well) Check(context.Context) error { return nil }

func TestRingIsBounded(t *testing.T) {
	h := New(well{}, prometheus.NewRegistry(), "bolt", time.Now)
	for range samplesKept + 20 {
		h.Look(t.Context())
	}
	if n := len(h.kept()); n != samplesKept {
		t.Errorf("%d samples are kept, want %d", n, samplesKept)
	}
}

// left is a store whose answer is waited for by nobody who has left.
type left struct{ secret.Store }

func (left) Check(ctx context.Context) error { return ctx.Err() }

// TestReaderLeaves: somebody who leaves while the store is asked does not have it seem not to serve for all others.
func TestReaderLeaves(t *testing.T) {
	h := New(left{}, nil, "vault", time.Now)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, _ = h.State(gone) // nobody reads it
	if _, err := h.State(t.Context()); err != nil {
		t.Errorf("others are told: %v", err)
	}
	h.Look(gone) // the server ends
	if _, err := h.State(t.Context()); err != nil {
		t.Errorf("others are told: %v", err)
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
	c := newCurve("x", spaced(sampleEvery, point{value: 1, ok: true}, point{}, point{value: 2, ok: true}), linear(2))
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
	at, ticks := logarithmic(words.Duration, []point{{value: 0.0012, ok: true}, {}, {ok: true}}, []point{{value: 0.6, ok: true}})
	if got := strings.Join(ticks, " "); got != "1.0 s 100 ms 10 ms 1.0 ms" {
		t.Errorf("the labels are %s", got)
	}
	for v, want := range map[float64]float64{0: 0, 0.001: 0, 0.01: 1.0 / 3, 1: 1} {
		if got := at(v); got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%v stands at %v, want %v", v, got, want)
		}
	}
	// Nothing, and one value that is a power of ten, are not divided by zero.
	for _, ps := range [][]point{nil, {{value: 0.001, ok: true}}} {
		if at, ticks := logarithmic(words.Duration, ps); len(ticks) != 2 || at(0.001) != at(0.001) {
			t.Errorf("%v: %v", ps, ticks)
		}
	}
	if got := strings.Join(linearTicks(20, func(f float64) string {
		return words.Number(int(f))
	}), " "); got != "20 10 0" {
		t.Errorf("the labels are %s", got)
	}
	if got := (Chart{Ticks: []string{"2", "1", "0"}}).Grid(); !strings.HasPrefix(got,
		"M0 0.0H600.0M0 60.0H600.0M0 120.0H600.0M150.0 0V120.0") {
		t.Errorf("the grid is %s", got)
	}
}

func TestTokenChart(t *testing.T) {
	hour := []sample{{token: point{}}, {token: point{value: 3600, ok: true}}, {token: point{value: 3000, ok: true}}}
	c := tokenChart(hour)
	if c.Empty || c.Ticks[0] != "1 hour" || c.Ticks[1] != "30 minutes" || strings.Count(c.Curves[0].Path, "M") != 1 {
		t.Errorf("the chart is %+v", c)
	}
	if !tokenChart(hour[:1]).Empty {
		t.Error("a token that does not end is drawn")
	}
}

// spaced gives the points a time each.
func spaced(apart time.Duration, points ...point) []point {
	for i := range points {
		points[i].at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * apart)
	}
	return points
}

// TestAxisIsTheClock: a point stands where its time is, also where nobody looked for a while, and the axis has the hour.
func TestAxisIsTheClock(t *testing.T) {
	one := point{value: 1, ok: true}
	c := newCurve("x", spaced(30*time.Minute, one, one), linear(1))
	if !strings.Contains(c.Path, "L300.0 ") || !strings.Contains(c.Path, "L600.0 ") || strings.Count(c.Path, "M") != 2 {
		t.Errorf("half an hour apart: %s", c.Path)
	}
	// What is older than an hour is not drawn before the axis.
	if c = newCurve("x", spaced(2*time.Hour, one, one), linear(1)); strings.Contains(c.Path, "-") {
		t.Errorf("two hours apart: %s", c.Path)
	}
	hour := []sample{{at: time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC)}}
	if got := strings.Join(times(hour), " "); got != "11:34 UTC 12:04 UTC 12:34 UTC" {
		t.Errorf("the axis has %s", got)
	}
}
