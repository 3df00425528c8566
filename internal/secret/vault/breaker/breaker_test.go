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
		b := New(Config{Probe: func(context.Context) error {
			probes.Add(1)
			return nil
		}, Interval: time.Second, Timeout: time.Second})
		defer b.Close()
		for range 3 {
			for range 10 { // just after a probe there is none
				b.Failed()
				synctest.Wait()
			}
			time.Sleep(time.Second)
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
		b := New(Config{Probe: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, Interval: time.Second, Timeout: time.Second})
		b.Failed()
		time.Sleep(1500 * time.Millisecond)
		if !errors.Is(b.Reason(), context.DeadlineExceeded) {
			t.Errorf("reason %v", b.Reason())
		}
		b.Close()
		b.Failed() // after the end: nothing happens
	})
}

// TestLive has calls under way end when the breaker opens, where the reason says that they are
// hopeless, and not later ones.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Pointer[error]
		sealed := errors.New("sealed")
		b := New(Config{
			Probe: func(context.Context) error {
				if err := down.Load(); err != nil {
					return *err
				}
				return nil
			},
			Interval: time.Second, Timeout: time.Second, Hopeless: func(err error) bool { return err == errDown },
		})
		defer b.Close()
		for _, tt := range []struct {
			reason error
			ends   bool
		}{{errDown, true}, {sealed, false}, {errDown, true}} {
			live := b.Live()
			down.Store(&tt.reason)
			b.Failed()
			synctest.Wait()
			if (live.Err() != nil) != tt.ends || b.Reason() != tt.reason {
				t.Errorf("open since %v: what is under way ended is %t", b.Reason(), live.Err() != nil)
			}
			down.Store(nil)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if b.Reason() != nil || b.Live().Err() != nil {
				t.Error("after the return, calls end at once")
			}
		}
	})
}

// TestProbesOverlap has a probe hang that began before the server came back: the next one finds out.
func TestProbesOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		b := New(Config{
			Probe: func(ctx context.Context) error {
				if up.Load() {
					return nil
				}
				<-ctx.Done()
				return errDown
			},
			Interval: time.Second, Timeout: 20 * time.Second,
		})
		defer b.Close()
		b.Failed()
		time.Sleep(30 * time.Second)
		if b.Reason() != errDown {
			t.Fatalf("reason %v", b.Reason())
		}
		up.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		if b.Reason() != nil {
			t.Error("a second after the return it is open still")
		}
	})
}
