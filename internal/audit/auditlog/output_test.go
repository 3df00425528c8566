package auditlog

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/audit/verify"
	"strongroom/internal/errs"
)

// stuck is a writer that takes nothing as long as it is told to.
type stuck struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	wait chan struct{} // nil: it takes
}

func (s *stuck) Write(b []byte) (int, error) {
	s.mu.Lock()
	wait := s.wait
	s.mu.Unlock()
	if wait != nil {
		<-wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *stuck) stop() { s.mu.Lock(); s.wait = make(chan struct{}); s.mu.Unlock() }
func (s *stuck) goOn() { s.mu.Lock(); close(s.wait); s.wait = nil; s.mu.Unlock() }
func (s *stuck) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// TestHangingSinkHoldsNobodyUp: with another sink that works, the first line waits for the one that hangs, and the rest
// go on. When it takes lines again, it is used again, and what it lacks shows.
func TestHangingSinkHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{}
		path := filepath.Join(t.TempDir(), "audit.log")
		var log strings.Builder
		l, err := Open(Config{Sinks: []string{path, "stdout"}, ChainKey: testKey, Stdout: out,
			Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		out.stop()
		start := time.Now()
		for i := range 200 {
			record(t, l, applied(i))
		}
		if waited := time.Since(start); waited > 2*time.Second {
			t.Errorf("200 acts waited %v for a sink that hangs", waited)
		}
		s := l.Stats()
		if s.Refused != 0 || !s.Sinks[1].Failing || s.Sinks[1].Failures != 200 || s.Sinks[0].Failing {
			t.Errorf("stats %+v", s)
		}
		out.goOn()
		time.Sleep(2 * time.Minute)
		record(t, l, applied(1))
		synctest.Wait()
		record(t, l, applied(2))
		if s := l.Stats(); s.Sinks[1].Failing {
			t.Errorf("it takes lines again: %+v", s)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		whole(t, 204, path)
		if r := check(t, out.String()); r.Verified == 0 || len(r.Findings) == 0 || r.Findings[0].Kind != verify.Missing {
			t.Errorf("the sink that hung: %+v", r)
		}
		if !strings.Contains(log.String(), "works again") {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// TestOnlySinkHangs: the acts are refused, the first after a wait and those behind it at once. What the sink writes
// late of the first is followed by the line that it failed.
func TestOnlySinkHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{}
		l, err := Open(Config{Sinks: []string{"stdout"}, ChainKey: testKey, Stdout: out})
		if err != nil {
			t.Fatal(err)
		}
		out.stop()
		start := time.Now()
		for i := range 100 {
			if err := l.Record(t.Context(), applied(i)); !errs.Is(err, errs.Unavailable) {
				t.Fatalf("act %d: %v", i, err)
			}
		}
		if waited := time.Since(start); waited > lockTime {
			t.Errorf("100 acts waited %v", waited)
		}
		out.goOn()
		time.Sleep(time.Minute)
		record(t, l, applied(100))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		r := check(t, out.String())
		if !r.OK() || r.Verified != 5 { // open, the first, the last, that the first failed, close
			t.Errorf("%+v\n%s", r, out)
		}
		if n := strings.Count(out.String(), `"outcome":"failed"`); n != 1 {
			t.Errorf("%d lines tell that the act failed\n%s", n, out)
		}
	})
}

// TestCloseLeavesHangingSink: the end of the server does not wait for it for good.
func TestCloseLeavesHangingSink(t *testing.T) {
	out := &stuck{}
	l, err := Open(Config{Sinks: []string{filepath.Join(t.TempDir(), "audit.log"), "stdout"}, ChainKey: testKey,
		Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	out.stop()
	defer out.goOn()
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("closing: %v", err)
	}
}
