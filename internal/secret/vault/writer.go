package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// writer carries out the changes of one organisation. Its entry in Vault is one, so its changes go one after the other
// anyway: those that arrive while a write is in flight go out together in the next one, and each caller gets its own
// outcome. A writer lives as long as there is something to write.
type writer struct {
	waiting []*change
}

// change is one caller's change on its way.
type change struct {
	ctx context.Context
	secret.Change
	done chan error // takes one outcome
}

// Apply implements secret.Store.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Empty() {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	mine := &change{ctx: timed, Change: c, done: make(chan error, 1)}
	s.mu.Lock()
	w, running := s.writers[org]
	if !running {
		w = &writer{}
		s.writers[org] = w
	}
	w.waiting = append(w.waiting, mine)
	s.mu.Unlock()
	if !running {
		// The writing belongs to everyone who waits, so no one's context ends it; each round has its own deadline.
		go s.runWriter(context.WithoutCancel(ctx), org, w)
	}
	select {
	case err := <-mine.done:
		return err
	case <-timed.Done(): // it may still be made, as secret.Store says
		if err := ctx.Err(); err != nil {
			return err
		}
		return errSlow
	}
}

// runWriter writes until nobody waits.
func (s *Store) runWriter(ctx context.Context, org id.ID, w *writer) {
	var e *entry // what we wrote last: the next round need not read it again
	for {
		s.mu.Lock()
		batch := w.waiting
		w.waiting = nil
		if len(batch) == 0 {
			delete(s.writers, org)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		e = s.round(ctx, org, e, batch)
	}
}

// round carries out a batch and answers everyone in it. It returns the entry as it stands, where that is known.
func (s *Store) round(ctx context.Context, org id.ID, known *entry, batch []*change) *entry {
	live := batch[:0]
	for _, c := range batch {
		if c.ctx.Err() == nil { // who has gone does not get their change made
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e, err := s.change(ctx, org, known, live)
	if errs.Is(err, errs.RequestTooLarge) && len(live) > 1 {
		// Perhaps one of them alone is too much: let each stand for itself.
		e = nil
		for _, c := range live {
			if e, err = s.change(ctx, org, e, []*change{c}); err != nil {
				e = nil
			}
			c.done <- err
		}
		return e
	}
	for _, c := range live {
		c.done <- err
	}
	if err != nil {
		return nil
	}
	return e
}

// casTries bounds how often a write is tried again because others write the same entry.
const casTries = 30

// change makes the changes in one write: read, change, write with check-and-set, and again where others were quicker.
func (s *Store) change(ctx context.Context, org id.ID, e *entry, batch []*change) (*entry, error) {
	for try := range casTries {
		fresh := e == nil
		if fresh {
			var err error
			if e, err = s.read(ctx, org); err != nil {
				return nil, err
			}
		}
		changed := false
		for _, c := range batch {
			changed = e.apply(c.Change) || changed
		}
		if !changed && fresh {
			return e, nil
		}
		if !changed { // as far as we know; others may have written since
			e = nil
			continue
		}
		err := s.write(ctx, org, e)
		if !errors.Is(err, errCAS) {
			return e, err
		}
		e = nil
		if err := pause(ctx, try); err != nil {
			break
		}
	}
	return nil, errs.New(errs.Conflict, "others are changing the same organization's secrets at the same time; try again")
}

// pause waits before a new try, longer each time and never the same for two writers.
func pause(ctx context.Context, try int) error {
	most := min(5*time.Millisecond<<min(try, 5), 100*time.Millisecond)
	select {
	case <-time.After(rand.N(most)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
