package ui

import (
	"fmt"
	"strconv"
	"time"
)

// ago says a time as people do, for example "3 minutes ago" or "in 2 days".
func ago(t, now time.Time) string {
	d := now.Sub(t)
	future := d < 0
	if future {
		d = -d
	}
	say := func(n int, unit string) string {
		s := count(n, unit)
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

// exact is a time to the second, for the tooltip; stamp is the same for machines.
func exact(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// count is "1 secret", "2 secrets", "10,000 secrets".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// number is 10,000 for 10000.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes as people say it.
func size(n int) string {
	switch {
	case n < 1<<10:
		return count(n, "byte")
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// duration is the time that one call took, with two figures.
func duration(seconds float64) string {
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

// lasting is a length of time as people say it, with one figure.
func lasting(seconds float64) string {
	switch {
	case seconds < 60:
		return count(int(seconds), "second")
	case seconds < 3600:
		return count(int(seconds/60), "minute")
	case seconds < 48*3600:
		return count(int(seconds/3600), "hour")
	}
	return count(int(seconds/86400), "day")
}
