// Package duration reads durations the way InfluxDB writes them, with days and weeks.
package duration

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var (
	form        = regexp.MustCompile(`^(\d+(w|d|h|m|s))+$`)
	parts       = regexp.MustCompile(`(\d+)(w|d|h|m|s)`)
	unitSeconds = map[string]int64{"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
)

// longest is what a time.Duration holds, which is what InfluxDB keeps it in.
const longest = int64(1<<63-1) / int64(time.Second)

// Seconds reads a duration such as 72h, 1w2d or 90m, in whole seconds; empty and 0 are 0, which stands for ever.
func Seconds(s string) (int64, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	if !form.MatchString(s) {
		return 0, fmt.Errorf("%q is not a duration in weeks, days, hours, minutes and seconds, such as 4w, 30d or 72h", s)
	}
	var total int64
	for _, part := range parts.FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		unit := unitSeconds[part[2]]
		if err != nil || n > (longest-total)/unit {
			return 0, fmt.Errorf("%q is too long; give 0 for infinite", s)
		}
		total += n * unit
	}
	return total, nil
}
