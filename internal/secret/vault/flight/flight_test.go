package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

const org, other id.ID = 7, 8

// tower makes numbers, each of which takes a second.
type tower struct {
	*Group[int64]
	begun atomic.Int64
	err   error
}

func newTower(t *testing.T) *tower {
	w := new(tower)
	bound := func() (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(t.Context(), 5*time.Second, conn.ErrTooSlow)
	}
	w.Group = New(bound, func(ctx context.Context, _ id.ID) (int64, error) {
		n := w.begun.Add(1)
		select {
		case <-time.After(time.Second):
			return n, w.err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	return w
}

type answer struct {
	n    int64
	err  error
	took time.Duration
}

// ask asks in the background, as the next of those who ask.
func (w *tower) ask(ctx context.Context, org id.ID) <-chan answer {
	got := make(chan answer, 1)
	start := time.Now()
	go func() {
		n, err := w.Get(ctx, org)
		got <- answer{n, err, time.Since(start)}
	}()
	synctest.Wait()
	return got
}

func (w *tower) fill(t *testing.T) {
	t.Helper()
	for i := range int64(atOnce) {
		w.ask(t.Context(), org)
		if got := w.begun.Load(); got != i+1 {
			t.Fatalf("%d have begun, want %d", got, i+1)
		}
	}
}

// wantEnded wants that nothing is kept of an organisation for which nobody waits.
func (w *tower) wantEnded(t *testing.T) {
	t.Helper()
	time.Sleep(time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.turns) != 0 {
		t.Errorf("%d turns are left", len(w.turns))
	}
}

// Who asks when as many are under way as may be gets one that begins later, and so does everybody beside him.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t)
		w.fill(t)
		time.Sleep(time.Second / 2)
		var waiting []<-chan answer
		for range 20 {
			waiting = append(waiting, w.ask(t.Context(), org))
		}
		if got := w.begun.Load(); got != atOnce {
			t.Fatalf("%d have begun, want %d", got, atOnce)
		}
		elsewhere := <-w.ask(t.Context(), other) // does not wait for this organisation
		if elsewhere.err != nil || elsewhere.took != time.Second {
			t.Errorf("another organisation's: %+v", elsewhere)
		}
		for _, got := range waiting {
			if a := <-got; a.err != nil || a.n <= atOnce || a.took != 3*time.Second/2 {
				t.Errorf("one that waited: %+v", a)
			}
		}
		if got := w.begun.Load(); got != atOnce+2 {
			t.Errorf("%d were made, want %d", got, atOnce+2)
		}
		w.wantEnded(t)
	})
}

// A caller who leaves gets his own error, at once, and the others what they asked for.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Get(gone, org); !errors.Is(err, context.Canceled) || w.begun.Load() != 0 {
			t.Errorf("one who had left: %v", err)
		}
		leaving, cancel := context.WithCancel(t.Context())
		first := w.ask(leaving, org)
		for range atOnce - 1 {
			w.ask(t.Context(), org)
		}
		second := w.ask(leaving, org)
		third := w.ask(t.Context(), org)
		slow, late := context.WithTimeoutCause(t.Context(), time.Second/4, conn.ErrTooSlow)
		defer late()
		fourth := w.ask(slow, org)
		cancel()
		for _, got := range []<-chan answer{first, second} {
			if a := <-got; !errors.Is(a.err, context.Canceled) || a.took != 0 {
				t.Errorf("one who left: %+v", a)
			}
		}
		if a := <-fourth; !errs.Is(a.err, errs.Unavailable) || a.took != time.Second/4 {
			t.Errorf("one whose time was up: %+v", a)
		}
		if a := <-third; a.err != nil || a.n != atOnce+1 || a.took != time.Second {
			t.Errorf("one who stayed: %+v", a)
		}
		w.wantEnded(t)
	})
}

// What nobody waits for any more is not begun.
func TestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t)
		w.fill(t)
		leaving, cancel := context.WithCancel(t.Context())
		left := w.ask(leaving, org)
		cancel()
		<-left
		w.wantEnded(t)
		if got := w.begun.Load(); got != atOnce {
			t.Errorf("%d were made, want %d", got, atOnce)
		}
	})
}

// An error goes to those who waited for it, and the next are made anew.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t)
		w.err = errs.New(errs.Unavailable, "sealed")
		w.fill(t)
		one, two := w.ask(t.Context(), org), w.ask(t.Context(), org)
		for _, got := range []<-chan answer{one, two} {
			if a := <-got; !errors.Is(a.err, w.err) {
				t.Errorf("one who waited: %+v", a)
			}
		}
		synctest.Wait()
		w.err = nil
		if a := <-w.ask(t.Context(), org); a.err != nil || a.n != atOnce+2 {
			t.Errorf("the next: %+v", a)
		}
		w.wantEnded(t)
	})
}

// Who still waits or asks when the group is closed is refused, and Close waits for what is being made for others.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t)
		w.fill(t)
		made := w.ask(t.Context(), org)
		time.Sleep(time.Second)
		synctest.Wait() // made is on its way
		w.ask(t.Context(), org)
		waits := w.ask(t.Context(), org)
		start := time.Now()
		w.Close()
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		if a := <-made; a.err != nil || a.n != atOnce+1 {
			t.Errorf("what was under way: %+v", a)
		}
		if a := <-waits; !errors.Is(a.err, conn.ErrClosed) {
			t.Errorf("one who waited: %+v", a)
		}
		if a := <-w.ask(t.Context(), org); !errors.Is(a.err, conn.ErrClosed) {
			t.Errorf("one who came later: %+v", a)
		}
		w.wantEnded(t)
	})
}

// TestCloseWhileAsked has many ask in the moment of the end.
func TestCloseWhileAsked(t *testing.T) {
	for range 200 {
		g := New(func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
			func(context.Context, id.ID) (int, error) { runtime.Gosched(); return 1, nil })
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if _, err := g.Get(t.Context(), org); errors.Is(err, conn.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		runtime.Gosched()
		g.Close()
		wg.Wait()
	}
}
