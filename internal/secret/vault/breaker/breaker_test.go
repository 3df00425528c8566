package breaker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

func TestClosedWhileProbesSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int32
		b := New(Config{Probe: func(context.Context) error { probes.Add(1); return nil }, Interval: time.Second, Timeout: time.Second})
		defer b.Close()
		for range 3 {
			b.Failed()
			synctest.Wait()
		}
		if b.Reason() != nil || b.Opened() != 0 || probes.Load() != 3 {
			t.Errorf("reason %v, opened %d, %d probes", b.Reason(), b.Opened(), probes.Load())
		}
	})
}

func TestOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var probes, opened, closed atomic.Int32
		b := New(Config{
			Probe: func(ctx context.Context) error {
				probes.Add(1)
				if up.Load() {
					return nil
				}
				return errDown
			},
			Interval: time.Second, Timeout: time.Second,
			Opened: func(error) { opened.Add(1) }, Closed: func(time.Duration) { closed.Add(1) },
		})
		defer b.Close()
		if b.Reason() != nil {
			t.Fatal("open from the start")
		}
		for range 10 { // one probe, however many fail
			b.Failed()
		}
		synctest.Wait()
		if b.Reason() != errDown || probes.Load() != 1 {
			t.Fatalf("reason %v after %d probes", b.Reason(), probes.Load())
		}
		time.Sleep(10 * time.Second)
		if n := probes.Load(); n < 10 || n > 21 {
			t.Errorf("%d probes in 10 s", n)
		}
		up.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		if b.Reason() != nil || opened.Load() != 1 || closed.Load() != 1 {
			t.Errorf("after the return: reason %v, opened %d, closed %d", b.Reason(), opened.Load(), closed.Load())
		}
		n := probes.Load()
		time.Sleep(10 * time.Second)
		if probes.Load() != n {
			t.Error("it probes a server that serves")
		}
	})
}

// A probe that hangs ends with its time, and Close does not wait for longer than that.
func TestProbeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{Probe: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, Interval: time.Second, Timeout: time.Second})
		b.Failed()
		time.Sleep(1500 * time.Millisecond)
		if !errors.Is(b.Reason(), context.DeadlineExceeded) {
			t.Errorf("reason %v", b.Reason())
		}
		b.Close()
		b.Failed() // after the end: nothing happens
	})
}
