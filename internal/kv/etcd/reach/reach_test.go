package reach

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

var unanswered = faults.Unavailable("no member of etcd answers")

// etcd is one that answers, or not, or has the process stand still while it is asked.
type etcd struct {
	silent atomic.Bool
	stands time.Duration
}

func (e *etcd) ask(ctx context.Context) error {
	if e.stands > 0 {
		time.Sleep(e.stands) // ctx or not: a process that stands still ends nothing
		e.stands = 0
		return unanswered
	}
	if !e.silent.Load() {
		return nil
	}
	<-ctx.Done()
	return unanswered
}

func follow(t *testing.T, e *etcd) *Reach {
	r := New(0)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Follow(ctx, e.ask) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

// TestAway has etcd answer nobody: a short time is waited for; after a long one all who wait are told, and who comes is
// at once, until it answers.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(etcd)
		r := follow(t, e)
		for range 3 {
			e.silent.Store(true)
			waits, over := r.Bound(t.Context(), time.Hour)
			time.Sleep(Patience - lookEvery - askTime)
			if err := errors.Join(r.Away(), waits.Err()); err != nil {
				t.Fatalf("while it may have an election: %v", err)
			}
			e.silent.Store(false)
			time.Sleep(2 * askTime)
			e.silent.Store(true)
			time.Sleep(Patience - lookEvery - askTime)
			if err := errors.Join(r.Away(), waits.Err()); err != nil {
				t.Fatalf("it has answered between: %v", err)
			}
			began := time.Now()
			<-waits.Done()
			over()
			if err := r.Away(); !errors.Is(err, kv.ErrAway) || !errors.Is(err, kv.ErrUnavailable) {
				t.Errorf("it is away: %v", err)
			}
			if waited := time.Since(began); waited > Patience+lookEvery+askTime {
				t.Errorf("who waits is told after %v more", waited)
			}
			if err := r.Heard(unanswered); !errors.Is(err, kv.ErrAway) {
				t.Errorf("a call that was under way: %v", err)
			}
			if ctx, over := r.Bound(t.Context(), time.Hour); true {
				<-ctx.Done()
				over()
			}
			e.silent.Store(false)
			for r.Away() != nil {
				time.Sleep(lookEvery)
			}
			ctx, over := r.Bound(t.Context(), time.Hour)
			if time.Sleep(Patience); ctx.Err() != nil {
				t.Error("it is there again, and calls end")
			}
			over()
		}
	})
}

// TestHeard has callers get answers, of any kind, where the question of its own gets none.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := new(etcd)
		e.silent.Store(true)
		r := follow(t, e)
		for _, answer := range []error{nil, kv.ErrConflict, kv.ErrFull, kv.ErrDenied, kv.ErrNotFound} {
			for range 10 {
				if err := r.Heard(answer); !errors.Is(err, answer) {
					t.Errorf("%v became %v", answer, err)
				}
				time.Sleep(time.Second)
			}
			if err := r.Away(); err != nil {
				t.Fatalf("it answers %v: %v", answer, err)
			}
		}
		for _, no := range []error{unanswered, context.Canceled, context.DeadlineExceeded, kv.ErrClosed} {
			for r.Away() == nil {
				_ = r.Heard(no)
				time.Sleep(time.Second)
			}
			_ = r.Heard(nil)
			time.Sleep(2 * time.Second)
		}
	})
}

// TestStoodStill has the process stand still for an hour: that tells nothing of etcd.
func TestStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &etcd{stands: time.Hour}
		r := follow(t, e)
		ctx, over := r.Bound(t.Context(), 2*time.Hour)
		defer over()
		time.Sleep(time.Hour + time.Minute)
		if err := errors.Join(r.Away(), ctx.Err()); err != nil {
			t.Errorf("it answers: %v", err)
		}
	})
}
