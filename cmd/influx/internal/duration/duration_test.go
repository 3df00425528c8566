package duration_test

import (
	"strings"
	"testing"

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
		"": 0, "0": 0, "0s": 0, "72h": 259200, "30d": 2592000, "1w2d3h4m5s": 788645, "90m": 5400, "9223372036s": 9223372036,
	} {
		if got, err := duration.Seconds(in); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
	}
}
