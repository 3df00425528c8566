package exchange

import (
	"context"
	"sync"
	"time"
)

// timed is a context with a deadline that costs nothing until somebody waits for its end. Most requests only ask, here
// and there, whether it has ended: context.WithDeadline would have made a timer, and taken it away again, for each.
type timed struct {
	context.Context // of the request
	until           time.Time

	mu      sync.Mutex
	waits   context.Context // made by the first call of Done
	release context.CancelFunc
	over    bool // cancelled
}

func within(ctx context.Context, d time.Duration) *timed {
	return &timed{Context: ctx, until: time.Now().Add(d)}
}

// Deadline is the earlier of the request's and ours.
func (t *timed) Deadline() (time.Time, bool) {
	if at, ok := t.Context.Deadline(); ok && at.Before(t.until) {
		return at, true
	}
	return t.until, true
}

// Done is closed when the time is over, the client has gone or cancel is called.
func (t *timed) Done() <-chan struct{} { return t.waited().Done() }

func (t *timed) waited() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waits == nil {
		t.waits, t.release = context.WithDeadline(t.Context, t.until)
		if t.over {
			t.release()
		}
	}
	return t.waits
}

// Err says why the context has ended, nil where it has not.
func (t *timed) Err() error {
	t.mu.Lock()
	waits, over := t.waits, t.over
	t.mu.Unlock()
	switch {
	case waits != nil:
		return waits.Err() // the same to all: who has seen Done closed must find a reason
	case t.Context.Err() != nil:
		return t.Context.Err()
	case over:
		return context.Canceled
	case !time.Now().Before(t.until):
		return t.waited().Err()
	}
	return nil
}

// Value looks where contexts made from this one look for what they are to end with.
func (t *timed) Value(key any) any {
	t.mu.Lock()
	waits := t.waits
	t.mu.Unlock()
	if waits != nil {
		return waits.Value(key)
	}
	return t.Context.Value(key)
}

// cancel ends the context: the request is answered.
func (t *timed) cancel() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if t.release != nil {
		t.release()
	}
}
