package exchange

import (
	"context"
	"sync"
	"time"

	"strongroom/internal/inflight"
)

// deadline is the context of a request that may take so long. Its timer is made when somebody waits for the end, which
// what is read from memory or from the file never does: context.WithTimeout makes one at once, and is 4 % of what a
// list costs.
type deadline struct {
	context.Context
	at    time.Time
	share *inflight.Share // the request's

	mu    sync.Mutex
	timed context.Context // nil as long as nobody waits
	end   context.CancelFunc
	ended bool
}

// withDeadline is context.WithTimeout, whose timer comes later. The second result ends it.
func withDeadline(parent context.Context, length time.Duration,
	share *inflight.Share) (context.Context, context.CancelFunc) {
	d := &deadline{Context: parent, at: time.Now().Add(length), share: share}
	return d, d.cancel
}

func (d *deadline) cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	if d.timed != nil || d.Context.Err() != nil || !time.Now().Before(d.at) {
		d.wait()
		d.end()
	}
	d.ended = true
}

// wait gives the context that ends, and makes it if need be. The lock is held.
func (d *deadline) wait() context.Context {
	switch {
	case d.timed != nil:
	case d.ended:
		d.timed, d.end = context.WithCancel(d.Context)
		d.end()
	default:
		d.timed, d.end = context.WithDeadline(d.Context, d.at)
	}
	return d.timed
}

// Done makes the timer.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wait().Done()
}

// Err makes the timer only where the time is over.
func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil && !d.ended && d.Context.Err() == nil && time.Now().Before(d.at) {
		return nil
	}
	return d.wait().Err()
}

// Deadline is the earlier of the request's and its parent's.
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Value has the request's share, and else is the timed context's where there is one, by which package context finds it
// without a goroutine.
func (d *deadline) Value(key any) any {
	if key == (inflight.Key{}) {
		return d.share
	}
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}
