// Package words says times, numbers, sizes and names as people do.
package words

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Ago says a time as people do, for example "3 minutes ago" or "in 2 days".
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	future := d < 0
	if future {
		d = -d
	}
	say := func(n int, unit string) string {
		s := Count(n, unit)
		if future {
			return "in " + s
		}
		return s + " ago"
	}
	day := 24 * time.Hour
	switch {
	case d < 45*time.Second && future:
		return "in a moment"
	case d < 45*time.Second:
		return "just now"
	case d < 59*time.Minute+30*time.Second:
		return say(max(1, int(d.Round(time.Minute)/time.Minute)), "minute")
	case d < 23*time.Hour+30*time.Minute:
		return say(int(d.Round(time.Hour)/time.Hour), "hour")
	case d < 60*day:
		return say(max(1, int(d.Round(day)/day)), "day")
	case d < 700*day:
		return say(int((d+15*day)/(30*day+10*time.Hour)), "month")
	}
	return say(int((d+day)/(365*day)), "year")
}

// Exact is a time to the second, for the tooltip; Stamp is the same for machines.
func Exact(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }
func Stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Count is "1 secret", "2 secrets", "10,000 secrets".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Number(n) + " " + what + "s"
}

// Number is 10,000 for 10000.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Size is a number of bytes as people say it.
func Size(n int) string {
	switch {
	case n < 1<<10:
		return Count(n, "byte")
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// Duration is the time that one call took, with two figures.
func Duration(seconds float64) string {
	switch {
	case seconds < 0.001:
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	case seconds < 0.01:
		return fmt.Sprintf("%.1f ms", seconds*1e3)
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// Lasting is a length of time as people say it, with one figure.
func Lasting(seconds float64) string {
	switch {
	case seconds < 60:
		return Count(int(seconds), "second")
	case seconds < 3600:
		return Count(int(seconds/60), "minute")
	case seconds < 48*3600:
		return Count(int(seconds/3600), "hour")
	}
	return Count(int(seconds/86400), "day")
}

// Contains compares without regard to case; everything contains the empty text.
func Contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// Sentence is what an error says, with the full stop that it has not: the API's messages have none.
func Sentence(s string) string {
	if last, _ := utf8.DecodeLastRuneInString(s); s == "" || strings.ContainsRune(".!?:…", last) {
		return s
	}
	return s + "."
}
