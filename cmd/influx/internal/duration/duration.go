// Package duration reads durations and moments: durations the way InfluxDB writes them, with days and weeks, and
// moments as a time, a date, or a duration from now.
package duration

import (
	"errors"
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

// Never is the word for what does not end.
const Never = "never"

// Forms tells the forms of a moment to come, for the usage of flags.
const Forms = "a time from now such as 30d or 12h, a date such as 2027-01-31, a time such as 2027-01-31T12:00:00Z, " +
	"or never"

// Seconds reads a duration such as 72h, 1w2d or 90m, in whole seconds; empty and 0 are 0, which stands for ever.
func Seconds(s string) (int64, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	if !form.MatchString(s) {
		return 0, fmt.Errorf("%q is not a duration in weeks, days, hours, minutes and seconds, such as 4w, 30d or 72h",
			s)
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

// Text writes a duration as Seconds reads it, in the largest units that it is made of: 30d, 1h30m, 5m.
func Text(d time.Duration) string {
	left, text := int64(d/time.Second), ""
	if left == 0 {
		return "0s"
	}
	for _, unit := range []string{"d", "h", "m", "s"} {
		if n := left / unitSeconds[unit]; n > 0 {
			text += strconv.FormatInt(n, 10) + unit
			left %= unitSeconds[unit]
		}
	}
	return text
}

// Until reads when something ends: a time, a date, or a duration from now. The zero time is Never.
func Until(s string, now time.Time) (time.Time, error) {
	if s == Never {
		return time.Time{}, nil
	}
	if at, ok := absolute(s); ok {
		return at, nil
	}
	seconds, err := Seconds(s)
	switch {
	case err != nil && form.MatchString(s):
		return time.Time{}, fmt.Errorf("%q is too long; give %s for what does not end", s, Never)
	case err != nil:
		return time.Time{}, fmt.Errorf(
			"%q is neither a time from now such as 30d, nor a date such as 2027-01-31, nor a time such as "+
				"2027-01-31T12:00:00Z, nor %s",
			s,
			Never,
		)
	case seconds == 0:
		return time.Time{}, fmt.Errorf("%q is now; give %s for what does not end", s, Never)
	}
	return now.Add(time.Duration(seconds) * time.Second).UTC().Truncate(time.Second), nil
}

// ValidUntil checks a flag that Until reads.
func ValidUntil(s string) error {
	if s == "" {
		return errors.New("its value is empty; give " + Never + " for what does not end")
	}
	_, err := Until(s, time.Now())
	return err
}

// Since reads when something was: a time, a date, or how long ago. Empty is no time.
func Since(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if at, ok := absolute(s); ok {
		return at, nil
	}
	seconds, err := Seconds(s)
	if err != nil {
		return time.Time{}, fmt.Errorf(
			"%q is neither a time such as 2026-01-31T12:00:00Z, nor a date such as 2026-01-31, nor an age such "+
				"as 24h or 7d",
			s,
		)
	}
	return now.Add(-time.Duration(seconds) * time.Second), nil
}

// ValidSince checks a flag that Since reads.
func ValidSince(s string) error {
	_, err := Since(s, time.Now())
	return err
}

func absolute(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
