package persecret

import (
	"context"
	"slices"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// patience is how often the control entry is asked whether those who committed a journal have carried it out themselves.
const patience = 5

// settled gives the control entry with nothing pending. What others committed and did not carry out, it carries out.
func (s *Store) settled(ctx context.Context, org id.ID, at kv2.Location) (*control, error) {
	var first *control
	for try := 0; ; try++ {
		c, err := s.control(ctx, org, at)
		if err != nil {
			return nil, err
		}
		if c.Pending == nil {
			return c, nil
		}
		if !c.same(first) {
			first, try = c, 0
		}
		switch {
		case c.is(sweeping) && !s.sweeps.stalled(org, c.Pending.ID):
			if try >= 2*patience { // a sweep is a matter of a moment, unless its influxd has ended in it
				return nil, errs.New(errs.Unavailable, "the organisation's deleted secrets are being removed; try again in a minute")
			}
		case try >= patience || c.is(sweeping):
			if err := s.finish(ctx, org, at, c); err != nil {
				return nil, err
			}
			continue
		}
		if !queue.Pause(ctx, 3) {
			return nil, conn.Known(ctx, ctx.Err())
		}
	}
}

// finish carries out what others committed.
func (s *Store) finish(ctx context.Context, org id.ID, at kv2.Location, c *control) error {
	switch c.Pending.Kind {
	case changing:
		steps, ok, err := s.readParts(ctx, at, c.Pending)
		if err != nil {
			return err
		}
		if !ok {
			now, err := s.control(ctx, org, at)
			if err != nil || !now.same(c) {
				return err // it has been carried out
			}
			s.conn.Log.Error("a change was committed and its journal has been removed from Vault by hand: what of it was not carried out is lost", "org", org)
		}
		return s.roll(ctx, org, at, c, steps, true)
	case purging:
		return s.removeAll(ctx, org, at)
	case sweeping:
		return s.rest(ctx, org, at, c) // as far as it came
	}
	return errNewer
}

// later carries out in the background what this process committed and could not finish, or what it found so.
func (s *Store) later(org id.ID) {
	if s.places.ReadOnly(org) {
		return
	}
	if _, queued := s.finishing.LoadOrStore(org, true); queued { // by another reader
		return
	}
	s.queue.Go(org, func(context.Context) error {
		s.finishing.Delete(org)
		// A change may be of so many names that an operation's time is not enough.
		ctx, cancel := context.WithTimeoutCause(s.conn.Base(), longest, conn.ErrTooSlow)
		defer cancel()
		at, err := s.at(ctx, org)
		if err != nil {
			return err
		}
		_, err = s.settled(ctx, org, at)
		return err
	})
}

// longest is how long a committed change is being carried out when nobody waits for it.
const longest = 5 * time.Minute

// finished reports whether the journal is one of the last that were carried out.
func (c *control) finished(journal string) bool { return slices.Contains(c.Done, journal) }

// sweeps are those of other processes that were found under way, and when this process began its own: zero where it has come
// to know the organisation and not swept it yet.
type sweeps struct {
	mu    sync.Mutex
	found map[id.ID]foundSweep
	last  map[id.ID]time.Time
}

type foundSweep struct {
	id    string
	since time.Time
}

func (s *sweeps) forget(org id.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.found, org)
	delete(s.last, org)
}

// stall is after what time a sweep that does not end is taken for one whose process has ended. No request of it is under
// way any more then.
const stall = time.Minute

func (s *sweeps) stalled(org id.ID, sweep string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.found[org]
	if f.id != sweep {
		if s.found == nil || len(s.found) >= maxKnown {
			s.found = make(map[id.ID]foundSweep)
		}
		f = foundSweep{sweep, time.Now()}
		s.found[org] = f
	}
	return time.Since(f.since) >= stall
}
