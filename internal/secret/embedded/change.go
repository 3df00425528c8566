package embedded

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// carryTime bounds the work on changes that their callers may have left. A disk that hangs hangs everything else too.
const carryTime = time.Minute

// queue has the changes of each organisation made one after the other, since each builds on the versions before it. What
// waits while one is written is then written together, in one transaction as far as it fits: many writers of one
// organisation, even of one secret, cost one sync and not one each. Organisations do not wait for each other, and the
// engine commits theirs together.
type queue struct {
	mu      sync.Mutex
	waiting map[id.ID][]*change // an organisation has an entry while somebody works on its changes
}

// change is one that waits: a plan, or what is done by itself.
type change struct {
	plan  func(*plan) error
	alone func(context.Context) error
	done  chan error // takes one
}

// Apply carries out a change: in one transaction if it fits.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	if err := ctx.Err(); err != nil || c.Empty() {
		return err
	}
	at := s.now()
	return s.submit(ctx, org, change{plan: func(p *plan) error { return p.apply(c, at) }})
}

// submit has the change made and gives how that ended, or ctx's error as soon as ctx ends: a change that nobody has
// begun is then not made, any other may be.
func (s *Store) submit(ctx context.Context, org id.ID, c change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.done = make(chan error, 1)
	return s.wait(ctx, org, &c)
}

func (s *Store) wait(ctx context.Context, org id.ID, c *change) error {
	s.queue.mu.Lock()
	others, busy := s.queue.waiting[org]
	s.queue.waiting[org] = append(others, c)
	s.queue.mu.Unlock()
	if !busy {
		go s.work(context.WithoutCancel(ctx), org)
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		s.queue.mu.Lock()
		defer s.queue.mu.Unlock()
		if waiting, ok := s.queue.waiting[org]; ok {
			s.queue.waiting[org] = slices.DeleteFunc(waiting, func(other *change) bool { return other == c })
		}
		return ctx.Err()
	}
}

// work makes the organisation's changes until none waits. What one transaction does not take goes into the next one with
// those that have come meanwhile.
func (s *Store) work(ctx context.Context, org id.ID) {
	var changes []*change
	for {
		s.queue.mu.Lock()
		changes = append(changes, s.queue.waiting[org]...)
		if len(changes) == 0 {
			delete(s.queue.waiting, org)
			s.queue.mu.Unlock()
			return
		}
		s.queue.waiting[org] = []*change{}
		s.queue.mu.Unlock()
		n, err := s.makeSome(ctx, org, changes)
		for _, c := range changes[:n] {
			c.done <- err
		}
		changes = changes[n:]
	}
}

// makeSome makes the first changes, as many as one transaction takes but at least one, and tells how many. All that it
// tells of ended alike.
func (s *Store) makeSome(ctx context.Context, org id.ID, changes []*change) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, carryTime)
	defer cancel()
	if alone := changes[0].alone; alone != nil {
		return 1, translate(alone(ctx))
	}
	s.sealing.RLock()
	defer s.sealing.RUnlock()
	n := len(changes)
	if i := slices.IndexFunc(changes, func(c *change) bool { return c.alone != nil }); i > 0 {
		changes, n = changes[:i], i
	}
	for range attempts {
		at, err := s.settle(ctx, org)
		if err == nil && at.pending != nil {
			err = kv.ErrFull
		}
		if err != nil {
			return n, translate(err)
		}
		was := kv.Cond{Key: records.Head(org), Rev: at.rev}
		p := &plan{s: s, ctx: ctx, org: org, names: s.ring.Names(), records: commitlog.Records{}}
		planned := 0
		for _, c := range changes {
			before := p.mark()
			err := c.plan(p)
			if err != nil && planned == 0 {
				return 1, translate(err)
			}
			if planned > 0 && (err != nil || !p.fits()) {
				p.backTo(before)
				break
			}
			planned++
		}
		if len(p.records) == 0 {
			return planned, nil
		}
		err = s.journal.Apply(ctx, org, was, p.records)
		if !errors.Is(err, kv.ErrConflict) {
			return planned, translate(err)
		}
		// Somebody came between, or there is a journal that the head knows nothing of.
		if err := s.journal.Finish(ctx, org); err != nil {
			return n, translate(err)
		}
	}
	return n, errTooMany
}
