// Package queue puts the changes of each organisation in order. Those that arrive while a batch is being written go out
// together in the next one, and each caller is answered with the outcome of his own. So 64 concurrent changes are a few
// batches and none competes with another; what is left to check-and-set are writers elsewhere.
//
// A caller who leaves while he waits takes his change with him. A batch that has been sent is seen through, also when
// nobody waits for it any more, so that what comes after it in the queue comes after it in Vault.
package queue

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
)

// Queue holds what waits, by organisation. Make it with New.
type Queue struct {
	conn  *conn.Conn
	write func(ctx context.Context, org id.ID, batch []*Item)

	mu      sync.Mutex
	closed  bool
	waiting map[id.ID]*line
	running sync.WaitGroup // a goroutine an organisation for which something waits
}

// line is what waits for one organisation. It exists while something does.
type line struct{ items []*Item }

// Item is one caller's change.
type Item struct {
	Change secret.Change
	ctx    context.Context
	job    func(context.Context) error // in place of a change
	done   chan error                  // takes one answer, whether or not the caller still waits
}

// Here reports whether the caller still waits.
func (it *Item) Here() bool { return it.ctx.Err() == nil }

// Answer gives the items' callers their outcome.
func Answer(items []*Item, err error) {
	for _, it := range items {
		it.done <- err
	}
}

// Changes are those of the items.
func Changes(items []*Item) []secret.Change {
	changes := make([]secret.Change, len(items))
	for i, it := range items {
		changes[i] = it.Change
	}
	return changes
}

// New makes an empty queue. write carries out a batch and answers its items; those of an organisation come one batch
// after the other.
func New(c *conn.Conn, write func(ctx context.Context, org id.ID, batch []*Item)) *Queue {
	return &Queue{conn: c, write: write, waiting: make(map[id.ID]*line)}
}

// Close waits for what is under way, which the connection's end cuts off. What comes later is refused.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
}

// Apply has a change written.
func (q *Queue) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	// The caller may change what he gave once he has his answer, and the write may go on after that.
	c.Set, c.Delete, c.Was = maps.Clone(c.Set), slices.Clone(c.Delete), maps.Clone(c.Was)
	return q.enqueue(ctx, org, &Item{Change: c})
}

// Do runs a job in its turn, alone.
func (q *Queue) Do(ctx context.Context, org id.ID, job func(context.Context) error) error {
	return q.enqueue(ctx, org, &Item{job: job})
}

// Go runs a job in its turn for which nobody waits.
func (q *Queue) Go(org id.ID, job func(context.Context) error) {
	q.add(org, &Item{job: job, ctx: q.conn.Base(), done: make(chan error, 1)})
}

func (q *Queue) enqueue(ctx context.Context, org id.ID, it *Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := q.conn.Bound(ctx)
	defer cancel()
	it.ctx, it.done = ctx, make(chan error, 1)
	if !q.add(org, it) {
		return conn.ErrClosed
	}
	select {
	case err := <-it.done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-it.done: // both at once: the outcome is worth more
		return err
	default:
	}
	return conn.Known(ctx, ctx.Err())
}

// add queues the item, and starts the organisation's writer where none is at work.
func (q *Queue) add(org id.ID, it *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	l := q.waiting[org]
	if l == nil {
		l = new(line)
		q.waiting[org] = l
		q.running.Go(func() { q.drain(org, l) })
	}
	l.items = append(l.items, it)
	return true
}

// drain works until the line is empty.
func (q *Queue) drain(org id.ID, l *line) {
	for {
		batch := q.next(org, l)
		if batch == nil {
			return
		}
		// Close cuts off what is under way.
		ctx, cancel := context.WithTimeoutCause(q.conn.Base(), q.conn.Timeout, conn.ErrTooSlow)
		if job := batch[0].job; job != nil {
			Answer(batch, ForCallers(job(ctx)))
		} else {
			q.write(ctx, org, batch)
		}
		cancel()
	}
}

// next takes what goes out together: a job alone, or the changes up to the next job.
func (q *Queue) next(org id.ID, l *line) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.items = Waiting(l.items)
	if len(l.items) == 0 {
		delete(q.waiting, org)
		return nil
	}
	n := 1
	if l.items[0].job == nil {
		for n < len(l.items) && l.items[n].job == nil {
			n++
		}
	}
	batch := l.items[:n:n]
	l.items = l.items[n:]
	return batch
}

// Len is how many items wait for an organisation's next batch.
func (q *Queue) Len(org id.ID) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.waiting[org]; l != nil {
		return len(l.items)
	}
	return 0
}

// Waiting are the items whose callers still wait.
func Waiting(items []*Item) []*Item {
	var left []*Item
	for _, it := range items {
		if it.Here() {
			left = append(left, it)
		}
	}
	return left
}

// WhileAnyWaits ends the context when the last caller has left.
func WhileAnyWaits(ctx context.Context, batch []*Item) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	var left atomic.Int64
	left.Store(int64(len(batch)))
	var stops []func() bool
	for _, it := range batch {
		stops = append(stops, context.AfterFunc(it.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

// Pause waits before another try, longer each time and not as long as others do. It reports false when the time is up.
func Pause(ctx context.Context, try int) bool {
	longest := min(5*time.Millisecond<<min(try, 10), 250*time.Millisecond)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(longest)):
		return true
	}
}

// ForCallers makes of the errors that are only the writers' what callers hear.
func ForCallers(err error) error {
	switch {
	case errors.Is(err, conn.ErrTooSlow), errors.Is(err, conn.ErrMismatch):
		return conn.Slow.Told()
	case errors.Is(err, context.Canceled):
		return conn.ErrClosed // the batch's context ended since nobody waits, so nobody hears it
	}
	return err
}
