// Package batch has the changes of one organisation made one after the other, and those that wait at the same time
// together: 64 concurrent changes are a few writes, and none competes with another. Organisations do not wait for each
// other.
//
// A caller who leaves before his change was begun takes it with him. What was begun is seen through, also when nobody
// waits for it any more, so that what comes after it in the queue comes after it in the store. An outcome that is known
// is told, also to a caller whose context has ended.
package batch

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/tracing"
)

// Config says how a queue of changes of type T works.
type Config[T any] struct {
	// Write makes changes of one organisation and answers their items. It gives back those that it has neither made nor
	// answered: they come first in the next batch. It must deal with the first one at least.
	Write func(ctx context.Context, org id.ID, batch []*Item[T]) (left []*Item[T])
	// Context gives the context that a batch is made in. It is no caller's.
	Context func() (context.Context, context.CancelFunc)
	// Bound bounds how long a caller waits; nil for as long as he likes.
	Bound func(context.Context) (context.Context, context.CancelFunc)
	// Left gives what a caller hears whose context ended before he was answered; nil is the context's own error. A
	// change that was begun by then may be made.
	Left func(ctx context.Context, begun bool) error
	// Gather, where it is not 0, is the part of the time that a batch of several took, such as 1/4, which the next one
	// waits for at most until as many are there: those who were answered together come again together, and would else
	// find that the first of them has begun one alone. It pays where a write takes long, whatever is in it.
	Gather float64
	// Told translates the error of a job for its caller; nil leaves it as it is.
	Told func(error) error
	// Closed is what callers hear after Close.
	Closed error
}

// Queue holds what waits, by organisation. Make it with New. It is safe for use by many goroutines.
type Queue[T any] struct {
	conf Config[T]

	mu      sync.Mutex
	closed  bool
	waiting map[id.ID][]*Item[T] // an organisation has an entry while somebody works on its changes
	enough  map[id.ID]*enough    // where its next batch waits for more
	running sync.WaitGroup       // a goroutine an organisation that has an entry
}

// enough is closed when as many wait.
type enough struct {
	many int
	here chan struct{}
}

// Item is one caller's change.
type Item[T any] struct {
	Change T
	ctx    context.Context
	job    func(context.Context) error // in place of a change
	done   chan error                  // takes one answer, whether or not the caller still waits
	begun  bool                        // it is in a batch; of the queue's lock
}

// New makes an empty queue.
func New[T any](c Config[T]) *Queue[T] {
	return &Queue[T]{conf: c, waiting: make(map[id.ID][]*Item[T]), enough: make(map[id.ID]*enough)}
}

// Close refuses what comes later with Config.Closed, and waits for what is in the queue.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.closed = true
	for org, e := range q.enough { // nobody comes any more
		delete(q.enough, org)
		close(e.here)
	}
	q.mu.Unlock()
	q.running.Wait()
}

// Do has a change made, and gives the answer to its item. Where ctx ends before there is one, the error is ctx's, or
// what Config.Left makes of it: a change that was not begun is then not made, any other may be.
func (q *Queue[T]) Do(ctx context.Context, org id.ID, change T) error {
	return q.submit(ctx, org, &Item[T]{Change: change})
}

// Alone runs a job in its turn, by itself. Its errors are those of Do.
func (q *Queue[T]) Alone(ctx context.Context, org id.ID, job func(context.Context) error) error {
	return q.submit(ctx, org, &Item[T]{job: job})
}

// Go runs a job in its turn for which nobody waits. After Close it does nothing.
func (q *Queue[T]) Go(org id.ID, job func(context.Context) error) {
	q.add(org, &Item[T]{job: job, ctx: context.Background(), done: make(chan error, 1)})
}

// Len is how many items wait for an organisation's next batch.
func (q *Queue[T]) Len(org id.ID) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[org])
}

func (q *Queue[T]) submit(ctx context.Context, org id.ID, it *Item[T]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.conf.Bound != nil {
		var cancel context.CancelFunc
		ctx, cancel = q.conf.Bound(ctx)
		defer cancel()
	}
	it.ctx, it.done = ctx, make(chan error, 1)
	if !q.add(org, it) {
		return q.conf.Closed
	}
	select {
	case err := <-it.done:
		return err
	case <-ctx.Done():
	}
	begun := q.remove(org, it)
	select {
	case err := <-it.done: // both at once: the outcome is worth more
		return err
	default:
	}
	if q.conf.Left != nil {
		return q.conf.Left(ctx, begun)
	}
	return ctx.Err()
}

// add queues the item, and starts the organisation's writer where none is at work.
func (q *Queue[T]) add(org id.ID, it *Item[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	others, busy := q.waiting[org]
	q.waiting[org] = append(others, it)
	if e := q.enough[org]; e != nil && len(others)+1 >= e.many {
		delete(q.enough, org)
		close(e.here)
	}
	if !busy {
		q.running.Go(func() { q.work(org) })
	}
	return true
}

// remove takes an item out that has not been begun, and reports whether it has.
func (q *Queue[T]) remove(org id.ID, it *Item[T]) (begun bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if items, ok := q.waiting[org]; ok {
		q.waiting[org] = slices.DeleteFunc(items, func(other *Item[T]) bool { return other == it })
	}
	return it.begun
}

// work makes the organisation's changes until none waits.
func (q *Queue[T]) work(org id.ID) {
	for {
		batch := q.next(org)
		if batch == nil {
			return
		}
		began := time.Now()
		q.carryOut(org, batch)
		if len(batch) > 1 && q.conf.Gather > 0 {
			q.gather(org, len(batch), time.Duration(q.conf.Gather*float64(time.Since(began))))
		}
	}
}

// gather waits until so many wait, but no longer than that.
func (q *Queue[T]) gather(org id.ID, many int, patience time.Duration) {
	q.mu.Lock()
	if q.closed || len(q.waiting[org]) >= many {
		q.mu.Unlock()
		return
	}
	e := &enough{many, make(chan struct{})}
	q.enough[org] = e
	q.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-e.here:
	case <-timer.C:
		q.mu.Lock()
		delete(q.enough, org)
		q.mu.Unlock()
	}
}

// carryOut makes a batch. One that panics is answered with an error, which has where for the log: the server goes on,
// and so do the organisation's other changes.
func (q *Queue[T]) carryOut(org id.ID, batch []*Item[T]) {
	ctx, cancel := q.conf.Context()
	defer cancel()
	ctx = tracing.Within(ctx, batch[0].ctx)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		err := fmt.Errorf("a change of organisation %s panicked: %v\n%s", org, p, debug.Stack())
		for _, it := range batch {
			select {
			case it.done <- err:
			default: // it has its answer
			}
		}
	}()
	if job := batch[0].job; job != nil {
		err := job(ctx)
		if q.conf.Told != nil {
			err = q.conf.Told(err)
		}
		batch[0].Answer(err)
	} else if left := q.conf.Write(ctx, org, batch); len(left) > 0 {
		q.mu.Lock()
		for _, it := range left {
			it.begun = false
		}
		q.waiting[org] = slices.Concat(left, q.waiting[org])
		q.mu.Unlock()
	}
}

// next takes what goes out together: a job alone, or the changes up to the next job. Where nothing waits it gives nil,
// and the organisation has no entry any more.
func (q *Queue[T]) next(org id.ID) []*Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := Waiting(q.waiting[org])
	if len(items) == 0 {
		delete(q.waiting, org)
		return nil
	}
	n := 1
	if items[0].job == nil {
		for n < len(items) && items[n].job == nil {
			n++
		}
	}
	q.waiting[org] = items[n:]
	for _, it := range items[:n] {
		it.begun = true
	}
	return items[:n:n]
}

// Here reports whether the caller still waits.
func (it *Item[T]) Here() bool { return it.ctx.Err() == nil }

// Answer gives the item's caller his outcome. An item is answered once.
func (it *Item[T]) Answer(err error) { it.done <- err }

// Answer gives the items' callers one outcome.
func Answer[T any](items []*Item[T], err error) {
	for _, it := range items {
		it.Answer(err)
	}
}

// Changes returns the change of each item.
func Changes[T any](items []*Item[T]) []T {
	changes := make([]T, len(items))
	for i, it := range items {
		changes[i] = it.Change
	}
	return changes
}

// Waiting are the items whose callers still wait, in a list of its own.
func Waiting[T any](items []*Item[T]) []*Item[T] {
	var left []*Item[T]
	for _, it := range items {
		if it.Here() {
			left = append(left, it)
		}
	}
	return left
}

// WhileAnyWaits gives a context that ends when the last caller of the items has left.
func WhileAnyWaits[T any](ctx context.Context, batch []*Item[T]) (context.Context, context.CancelFunc) {
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
