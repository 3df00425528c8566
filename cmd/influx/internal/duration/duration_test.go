package duration_test

import (
	"strings"
	"testing"
	"time"

	"strongroom/cmd/influx/internal/duration"
)

func TestSeconds(t *testing.T) {
	for in, problem := range map[string]string{
		"soon": "is not a duration", "72": "is not a duration", "-1h": "is not a duration", "1h ": "is not a duration",
		"1.5h": "is not a duration", "100ms": "is not a duration", "h": "is not a duration",
		"99999999999999999999w": "is too long", "9223372037s": "is too long", "15250w9w": "is too long",
	} {
		if got, err := duration.Seconds(in); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
	for in, want := range map[string]int64{
		"": 0, "0": 0, "0s": 0, "72h": 259200, "30d": 2592000, "1w2d3h4m5s": 788645, "90m": 5400,
		"9223372036s": 9223372036,
	} {
		if got, err := duration.Seconds(in); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Minute: "1h30m", 30 * 24 * time.Hour: "30d", 5 * time.Minute: "5m",
		26*time.Hour + 3*time.Second: "1d2h3s",
	} {
		got := duration.Text(in)
		if back, err := duration.Seconds(got); got != want || err != nil || back != int64(in/time.Second) {
			t.Errorf("%v: %q, which is %d, %v", in, got, back, err)
		}
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for in, problem := range map[string]string{
		"": "", "soon": "is neither", "0": "give never", "0s": "give never", "-1h": "is neither",
		"2026-02-30": "is neither", "99999999999999999999w": "is too long",
	} {
		if got, err := duration.Until(in, now); err == nil && in != "" ||
			err != nil && in != "" && !strings.Contains(err.Error(), problem) {
			t.Errorf("until %q: %v, %v", in, got, err)
		}
		if err := duration.ValidUntil(in); err == nil {
			t.Errorf("%q is valid", in)
		}
	}
	for in, want := range map[string][2]time.Time{ // until and since
		"1d": {now.AddDate(0, 0, 1), now.AddDate(0, 0, -1)},
		"2026-03-01": {time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		"2026-03-01T01:00:00+01:00": {time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
	} {
		until, errUntil := duration.Until(in, now)
		since, errSince := duration.Since(in, now)
		if errUntil != nil || errSince != nil || !until.Equal(want[0]) || !since.Equal(want[1]) {
			t.Errorf("%q: %v, %v; %v, %v", in, until, errUntil, since, errSince)
		}
	}
	if at, err := duration.Until(duration.Never, now); err != nil || !at.IsZero() {
		t.Errorf("never: %v, %v", at, err)
	}
	if at, err := duration.Since("yesterday", now); err == nil {
		t.Errorf("yesterday: %v", at)
	}
}
