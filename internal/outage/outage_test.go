package outage

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLog has three minutes of failures and their end, what comes and goes, and more kinds than are told apart.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(strings.Builder)
		l := New(slog.New(slog.NewTextHandler(out, nil)))
		lines := func() int { return strings.Count(out.String(), "\n") }
		l.Ended("sealed", "serves again")
		for range 1800 {
			l.Failed(t.Context(), slog.LevelError, "sealed", "does not serve")
			time.Sleep(100 * time.Millisecond)
		}
		if !l.Open() || lines() != 3 || strings.Count(out.String(), "unlogged=599") != 2 {
			t.Errorf("three minutes of failures:\n%s", out)
		}
		l.Ended("sealed", "serves again")
		l.Ended("sealed", "serves again")
		if l.Open() || lines() != 4 || !strings.Contains(out.String(), "msg=\"serves again\" for=3m0s") {
			t.Errorf("and their end:\n%s", out)
		}
		before := lines()
		for range 1000 {
			l.Failed(t.Context(), slog.LevelWarn, "slow", "does not serve")
			l.Ended("slow", "serves again")
		}
		if n := lines() - before; n != 2 {
			t.Errorf("what comes and goes is %d lines, want its first and its end", n)
		}
		before = lines()
		for i := range 1000 {
			l.Failed(t.Context(), slog.LevelWarn, fmt.Sprint(i), "another kind")
		}
		if n := lines() - before; n > maxKinds {
			t.Errorf("%d lines for kinds without end, want at most %d", n, maxKinds)
		}
	})
}
