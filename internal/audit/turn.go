package audit

import (
	"runtime"
	"sync/atomic"
	"time"
)

// turn is a lock that is waited for so long and no longer. Whoever runs when it is given back may take it before those that
// wait for it: to hand it to one of them, as a channel does, leaves it idle until that one has been woken, and under load
// every line would wait for the scheduler. Once one has waited for longer than patience, those who come go behind those who
// wait, as with the starvation mode of Go's sync.Mutex.
type turn struct {
	taken   atomic.Bool
	waiting atomic.Int32
	hungry  atomic.Int32  // those of them who have waited for longer than patience
	back    chan struct{} // holds one: it was given back
}

func newTurn() *turn { return &turn{back: make(chan struct{}, 1)} }

// tries is how often it is tried, after whatever else can run has been let run, before a timer is made to wait for it.
const tries = 8

// patience is far longer than a turn that others take first is waited for, and far shorter than any turn may be.
const patience = 100 * time.Millisecond

// take reports whether it got it in time.
func (t *turn) take(within time.Duration) bool {
	for range tries {
		if t.hungry.Load() == 0 && t.taken.CompareAndSwap(false, true) {
			return true
		}
		runtime.Gosched()
	}
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	start := time.Now()
	timer := time.NewTimer(within)
	defer timer.Stop()
	hungry := false
	// Where somebody is hungry, he is yet to take it, and wakes the next when he gives it back.
	for first := t.hungry.Load() == 0; !first || !t.taken.CompareAndSwap(false, true); first = true {
		select {
		case <-t.back:
		case <-timer.C:
			return false
		}
		if !hungry && time.Since(start) > patience {
			hungry = true
			t.hungry.Add(1)
			defer t.hungry.Add(-1)
		}
	}
	return true
}

// giveBack wakes one of those that wait. One that begins to wait later sees that it is free.
func (t *turn) giveBack() {
	t.taken.Store(false)
	if t.waiting.Load() > 0 {
		select {
		case t.back <- struct{}{}:
		default:
		}
	}
}
