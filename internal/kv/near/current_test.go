package near_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/near"
)

// revised makes a memory before the engine that can ask for its revision, which rev is.
func revised(t *testing.T, e kv.Store, rev func(context.Context) (int64, error)) *near.Store {
	t.Helper()
	s := near.New(e, near.Config{Prefixes: []string{"a/"}, Limit: 1 << 20, Largest: 1000, Revision: rev})
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { s.Follow(ctx, func(error) {}) })
	t.Cleanup(func() { stop(); following.Wait() })
	until(t, "there is no watch", func() bool { return s.Fresh(time.Hour) })
	return s
}

// TestNotCurrent asks where nothing can be known: of an engine that does not answer, of one that has told less than it
// has, and for a caller who has left.
func TestNotCurrent(t *testing.T) {
	e := open(t)
	if s := follow(t, e, 1<<20); s.Current(t.Context()) {
		t.Error("it is current, of an engine without a revision")
	}
	var last atomic.Int64
	var down atomic.Bool
	s := revised(t, e, func(context.Context) (int64, error) {
		if down.Load() {
			return 0, kv.ErrUnavailable
		}
		return last.Load(), nil
	})
	is := func() bool { return s.Current(t.Context()) }
	until(t, "it is never current", is)
	down.Store(true)
	if is() {
		t.Error("it is current, and the engine does not answer")
	}
	down.Store(false)
	until(t, "it is not current again", is)
	left, leave := context.WithCancel(t.Context())
	leave()
	for range 10 { // whichever of the two it sees first
		s.Current(left)
	}
	release := e.hold()
	last.Store(put(t, e, "a/k", "1"))
	for range 3 {
		if is() {
			t.Error("it is current, and has not been told of the last change")
		}
	}
	release()
	until(t, "it is not current when all is told", is)
	last.Store(last.Load() - 1)
	if is() {
		t.Error("it is current, and the engine was set back")
	}
	last.Store(last.Load() + 1)
	until(t, "it is not current again", is)
	e.breaks(errors.New("broken"))
	until(t, "it is current without a watch", func() bool { return !is() })
}

// TestCurrent has another change a record, while readers look at it in memory after they have asked whether that is
// current: nobody sees less than what had returned before he asked.
func TestCurrent(t *testing.T) {
	e := open(t)
	var last, calls atomic.Int64
	s := revised(t, e, func(context.Context) (int64, error) {
		calls.Add(1)
		return last.Load(), nil
	})
	var done atomic.Int64
	last.Store(put(t, e, "a/k", "0"))
	until(t, "what was read is not known", func() bool { get(t, s, "a/k", "0"); return knows(s, "a/k", "0") })
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		defer close(stop)
		for n := int64(1); n <= 200; n++ {
			last.Store(put(t, e, "a/k", strconv.FormatInt(n, 10)))
			done.Store(n)
		}
	})
	var asked, seen atomic.Int64
	for range 16 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := done.Load()
				asked.Add(1)
				if !s.Current(t.Context()) {
					time.Sleep(time.Millisecond)
					continue
				}
				rec, known := s.Recall("a/k")
				if n, _ := strconv.ParseInt(string(rec.Value), 10, 64); known && n < least {
					t.Errorf("it is current and has %d, and %d was there before", n, least)
					return
				}
				seen.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d asked, %d saw what was current, with %d reads of the engine", asked.Load(), seen.Load(), calls.Load())
}

// lazy is an engine whose watch tells how far it is when it is asked for that alone.
type lazy struct {
	kv.Store
	rev   atomic.Int64
	asked chan struct{}
}

func (l *lazy) Watch(ctx context.Context, _ string, _ int64, tell func(kv.Update)) error {
	tell(kv.Update{Known: time.Now()})
	for {
		select {
		case <-l.asked:
			tell(kv.Update{Rev: l.rev.Load()})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestHastened has others raise the engine's revision by what is not watched: memory is current all the same.
func TestHastened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &lazy{asked: make(chan struct{}, 1)}
		s := near.New(e, near.Config{Prefixes: []string{"a/"}, Limit: 1 << 20, Largest: 1000,
			Revision: func(context.Context) (int64, error) { return e.rev.Load(), nil },
			Hasten: func() {
				select {
				case e.asked <- struct{}{}:
				default:
				}
			}})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go s.Follow(ctx, func(error) {})
		synctest.Wait()
		for range 100 {
			e.rev.Add(3)
			if !s.Current(t.Context()) {
				t.Fatal("it is not current, and nothing that is watched has changed")
			}
		}
		stop()
		synctest.Wait()
		time.Sleep(time.Minute) // its pauses end
	})
}
