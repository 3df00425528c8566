package vault

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Changes of one organisation queue up. Those that arrive while a write is in flight go out together in the next one,
// and each caller is answered with the outcome of his own. So 64 concurrent changes are a few writes and none competes
// with another; what is left to check-and-set are writers elsewhere.
//
// A caller who leaves while he waits takes his change with him. A write that has been sent is seen through, also when
// nobody waits for it any more, so that what comes after it in the queue comes after it in Vault.

// maxTries bounds how often a batch is read, merged and written anew because others wrote in between.
const maxTries = 16

// queue holds what waits for one organisation. It exists while something does.
type queue struct{ waiting []*item }

// item is one caller's change, or his order to remove everything.
type item struct {
	ctx    context.Context
	change secret.Change
	purge  bool
	done   chan error // takes one answer, whether or not the caller still waits
}

func answer(items []*item, err error) {
	for _, it := range items {
		it.done <- err
	}
}

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	if s.readOnly(org) {
		return errReadOnly
	}
	// The caller may change what he gave once he has his answer, and the write may go on after that.
	return s.enqueue(ctx, org, &item{change: secret.Change{Set: maps.Clone(c.Set), Delete: slices.Clone(c.Delete)}})
}

// Purge removes the entry with all its versions and metadata. What is managed elsewhere is left to who manages it.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	if s.readOnly(org) {
		s.log.Info("secrets that are managed in Vault stay there after the end of their organisation", "org", org)
		return ctx.Err()
	}
	return s.enqueue(ctx, org, &item{purge: true})
}

func (s *Store) enqueue(ctx context.Context, org id.ID, it *item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	it.ctx, it.done = ctx, make(chan error, 1)
	if !s.add(org, it) {
		return errClosed
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
	if err := ended(ctx); !errors.Is(err, errTooSlow) {
		return err
	}
	return told[slow]
}

// add queues the item, and starts the organisation's writer where none is at work.
func (s *Store) add(org id.ID, it *item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	q := s.queues[org]
	if q == nil {
		q = new(queue)
		s.queues[org] = q
		s.running.Go(func() { s.drain(org, q) })
	}
	q.waiting = append(q.waiting, it)
	return true
}

// drain works until the queue is empty.
func (s *Store) drain(org id.ID, q *queue) {
	for {
		batch := s.next(org, q)
		if batch == nil {
			return
		}
		// Close cuts off what is under way.
		ctx, cancel := context.WithTimeoutCause(s.base, s.timeout, errTooSlow)
		if batch[0].purge {
			err := s.purge(ctx, org)
			s.settle(org, batch, err)
		} else {
			s.write(ctx, org, batch)
		}
		cancel()
	}
}

// next takes what goes out together: a purge alone, or the changes up to the next purge.
func (s *Store) next(org id.ID, q *queue) []*item {
	s.mu.Lock()
	defer s.mu.Unlock()
	q.waiting = here(q.waiting)
	if len(q.waiting) == 0 {
		delete(s.queues, org)
		return nil
	}
	n := 1
	if !q.waiting[0].purge {
		for n < len(q.waiting) && !q.waiting[n].purge {
			n++
		}
	}
	batch := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	return batch
}

// here are the items whose callers still wait.
func here(items []*item) []*item {
	var left []*item
	for _, it := range items {
		if it.ctx.Err() == nil {
			left = append(left, it)
		}
	}
	return left
}

// write carries out a batch and answers its callers. It is the one place that writes.
func (s *Store) write(ctx context.Context, org id.ID, batch []*item) {
	var lost int // writes of which it is not known whether they happened
	for try := 1; ; try++ {
		if batch = here(batch); len(batch) == 0 {
			return
		}
		patched, err := false, error(nil)
		if try == 1 {
			patched, err = s.patchInTime(ctx, org, changesOf(batch))
		}
		if !patched && err == nil {
			reading, stop := whileAnyWaits(ctx, batch)
			var e entry
			e, err = s.read(reading, org)
			stop()
			if err != nil {
				if ctx.Err() == nil {
					batch = here(batch) // a read that ended because the last caller left has no outcome for them
				}
				s.settle(org, batch, forCallers(err))
				return
			}
			if batch = here(batch); len(batch) == 0 {
				return
			}
			data, changed := e.with(changesOf(batch))
			if !changed {
				// As asked for already; after a lost answer, by our own write.
				s.settle(org, batch, nil)
				return
			}
			err = s.putInTime(ctx, org, e.version, data)
		}
		switch {
		case err == nil:
		case errs.Is(err, errs.RequestTooLarge) && len(batch) > 1:
			// Someone's change is too large; the others' need not fail for it.
			s.write(ctx, org, batch[:len(batch)/2])
			s.write(ctx, org, batch[len(batch)/2:])
			return
		case errors.Is(err, errMismatch) && try < maxTries:
			if pause(ctx, try) {
				continue
			}
			// The time is up.
		case errors.Is(err, errMismatch):
			err = errs.New(errs.Conflict, "others changed the organisation's secrets at the same time, again and again; nothing was changed, try again")
		case isUncertain(err) && lost == 0 && ctx.Err() == nil:
			// The answer was lost, perhaps not the write. Check-and-set makes it safe to look and to write again.
			lost++
			s.cache.Drop(org) // it may be that nobody waits for an answer any more
			continue
		}
		s.settle(org, batch, forCallers(err))
		return
	}
}

// settle answers callers, who from then on must not be given what was read before.
func (s *Store) settle(org id.ID, batch []*item, err error) {
	s.cache.Drop(org)
	answer(batch, err)
}

// forCallers makes of the errors that are only ours what callers hear.
func forCallers(err error) error {
	switch {
	case errors.Is(err, errTooSlow), errors.Is(err, errMismatch):
		return told[slow]
	case errors.Is(err, context.Canceled):
		return errClosed // the batch's context ended since nobody waits, so nobody hears it
	}
	return err
}

func changesOf(batch []*item) []secret.Change {
	changes := make([]secret.Change, len(batch))
	for i, it := range batch {
		changes[i] = it.change
	}
	return changes
}

// shorten leaves an eighth of the time to look what became of a write that was not answered.
func (s *Store) shorten(ctx context.Context) (context.Context, context.CancelFunc) {
	d, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, d.Add(-s.timeout/8), errTooSlow)
}

func (s *Store) putInTime(ctx context.Context, org id.ID, version int64, data map[string]json.RawMessage) error {
	ctx, cancel := s.shorten(ctx)
	defer cancel()
	return s.put(ctx, org, version, data)
}

func (s *Store) patchInTime(ctx context.Context, org id.ID, changes []secret.Change) (sent bool, err error) {
	ctx, cancel := s.shorten(ctx)
	defer cancel()
	return s.patch(ctx, org, changes)
}

// isUncertain reports whether a write that ended so may have happened.
func isUncertain(err error) bool {
	return errors.Is(err, told[unreachable]) || errors.Is(err, told[slow]) || errors.Is(err, told[failing])
}

// whileAnyWaits ends the context when the last caller has left.
func whileAnyWaits(ctx context.Context, batch []*item) (context.Context, context.CancelFunc) {
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

// pause waits before another try, longer each time and not as long as others do. It reports false when the time is up.
func pause(ctx context.Context, try int) bool {
	longest := min(5*time.Millisecond<<try, 250*time.Millisecond)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(longest)):
		return true
	}
}

// purge removes everything. Where the policy forbids it, the latest version at least is deleted, as far as that goes.
func (s *Store) purge(ctx context.Context, org id.ID) error {
	at, err := s.at(ctx, org)
	if errors.Is(err, errNoName) {
		s.log.Error("an organisation has ended whose secrets are kept under its name, which is not known any more; remove them in Vault by hand", "org", org)
		return nil
	}
	if err != nil {
		return err
	}
	s.shapes.forget(org)
	err = s.remove(ctx, at, "metadata")
	if !errors.Is(err, told[denied]) {
		return forCallers(err)
	}
	if err := s.remove(ctx, at, "data"); err != nil {
		return forCallers(err)
	}
	return errs.New(errs.Unavailable, "the secret store deleted the organisation's secrets but refused to remove their earlier versions (permission denied)")
}

func (s *Store) remove(ctx context.Context, at location, kind string) error {
	return s.do(ctx, at.request(http.MethodDelete, kind, "delete"), func(ctx context.Context) error {
		_, err := at.client.Logical().DeleteWithContext(ctx, at.path(kind))
		return err
	})
}
