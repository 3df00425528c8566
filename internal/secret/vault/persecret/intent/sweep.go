package intent

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
)

// A sweep removes for good what was deleted secret.KeepDeleted ago, or earlier where more than keptDeleted names are
// deleted, and the journals that were never committed. It is announced in the control entry: who would set or bring
// back a deleted secret goes by a journal, and so waits for its end. A set that knows of no deletion relies on what the
// store saw a moment ago, and nothing is removed before it has been deleted for as long as removable.
//
// KV has no check-and-set for a removal. What somebody else writes to a deleted entry in Vault itself, between the look
// at it and its removal, goes with it.
//
// The servers' clocks may differ. They decide when something is looked at; whether its time is over, Vault's clock
// does, which has noted it.

// removable is the least time between a deletion and the removal. It is long against the timeout of an operation, and
// against how long a set relies on having seen the secret alive (package seen's fresh).
const removable = 10 * time.Minute

// orphaned is after what time a journal that is not pending was never committed. It holds values, so this is not long;
// nor need it be: removeOrphans sees to it that a commit which comes later is refused.
const orphaned = 5 * time.Minute

// sweepEvery is how often an organisation is swept, and looks is how often it is looked which of them it is time for.
const (
	sweepEvery = 10 * time.Minute
	looks      = time.Minute
)

// overdue is a hint whose entry may go, if it has been deleted for so long.
type overdue struct {
	Deletion
	after time.Duration
}

// due are the hints whose entries may go, the oldest first.
func (c *State) due(now time.Time) (due []overdue) {
	for i, d := range c.kept.Deleted {
		after := secret.KeepDeleted
		if len(c.kept.Deleted)-i > keptDeleted {
			after = removable
		}
		if now.Sub(time.Unix(d.At, 0)) >= after {
			due = append(due, overdue{d, after})
		}
	}
	return due
}

// sweepSoon has the organisation swept in its turn, if it has not been for a while.
func (l *Log) sweepSoon(org id.ID) {
	l.sweeps.mu.Lock()
	defer l.sweeps.mu.Unlock()
	if l.sweeps.last == nil || len(l.sweeps.last) >= maxKnown {
		l.sweeps.last = make(map[id.ID]time.Time)
	}
	if time.Since(l.sweeps.last[org]) < sweepEvery {
		return
	}
	l.sweeps.last[org] = time.Now()
	l.queue.Go(org, func(ctx context.Context) error { return l.sweep(ctx, org, time.Now()) })
}

// watch has the organisation swept now and then from the next time on: what another process deleted, or left behind
// when it ended, goes as well.
func (l *Log) watch(org id.ID) {
	if l.places.ReadOnly(org) {
		return
	}
	l.sweeps.mu.Lock()
	defer l.sweeps.mu.Unlock()
	if _, ok := l.sweeps.last[org]; ok {
		return
	}
	if l.sweeps.last == nil || len(l.sweeps.last) >= maxKnown {
		l.sweeps.last = make(map[id.ID]time.Time)
	}
	l.sweeps.last[org] = time.Time{}
}

// sweepNowAndThen sweeps the organisations that this process has come to know.
func (l *Log) sweepNowAndThen(ctx context.Context) {
	tick := time.NewTicker(looks)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.SweepKnown(ctx, time.Now())
		}
	}
}

// SweepKnown sweeps those of the organisations that this process has come to know whose time it
// is, one after the other.
func (l *Log) SweepKnown(ctx context.Context, now time.Time) {
	for _, org := range l.toSweep(now) {
		if ctx.Err() != nil {
			return
		}
		if err := l.Sweep(ctx, org, now); err != nil && ctx.Err() == nil {
			l.conn.Log.Debug("an organisation was not swept", "org", org, "error", err) // the next time, then
		}
	}
}

// toSweep gives the organisations whose time it is, which they then have had.
func (l *Log) toSweep(now time.Time) (orgs []id.ID) {
	l.sweeps.mu.Lock()
	defer l.sweeps.mu.Unlock()
	for org, last := range l.sweeps.last {
		if now.Sub(last) > sweepEvery-looks { // the ticks are not quite so far apart
			l.sweeps.last[org] = now
			orgs = append(orgs, org)
		}
	}
	return orgs
}

// Sweep removes what is due at a time, in its turn.
func (l *Log) Sweep(ctx context.Context, org id.ID, now time.Time) error {
	return l.queue.Alone(ctx, org, func(ctx context.Context) error { return l.sweep(ctx, org, now) })
}

// sweep removes what is due at a time.
func (l *Log) sweep(ctx context.Context, org id.ID, now time.Time) error {
	at, err := paths.At(ctx, l.places, org)
	if err != nil {
		return err
	}
	c, err := l.Settled(ctx, org, at)
	if err != nil {
		return err
	}
	later := time.Until(now) // nothing, but in tests
	if c, err = l.removeOrphans(ctx, org, at, c, later); err != nil {
		return err
	}
	due := c.due(now)
	if len(due) == 0 {
		return nil
	}
	next := c.next()
	next.kept.Pending = &pending{ID: rand.Text(), Kind: sweeping}
	if c, err = l.commit(ctx, org, at, next); err != nil || !c.pending(next.kept.Pending) {
		return err
	}
	var mu sync.Mutex
	over := make(map[string]bool)
	// Half of the time is for removals to begin in. What is under way then ends, the sweep is said to be over, and what
	// is left is due at the next.
	began := time.Now()
	err = conn.Each(ctx, len(due), func(ctx context.Context, i int) error {
		if time.Since(began) > l.conn.Timeout/2 {
			return nil
		}
		entry := at.Below(due[i].Path)
		m, found, err := entry.Metadata(ctx)
		if err == nil && found && !m.Alive() {
			if m.Dead()+later < due[i].after {
				return nil // whoever deleted it has another clock
			}
			// Once: who finds no entry any more sets the secret anew, and knows of no sweep.
			err = entry.Remove(conn.Once(ctx), "metadata")
		}
		if err == nil {
			mu.Lock()
			over[due[i].Path] = true // removed, or alive and no deletion any more
			mu.Unlock()
		}
		return err
	})
	if err != nil {
		l.conn.Log.Warn("deleted secrets could not be removed for good", "org", org, "error", err)
	}
	done := c.next()
	done.hint(func(path string) bool { return over[path] }, nil)
	return l.rest(ctx, org, at, done)
}

// removeOrphans removes the journals that were written and never committed, once none of them can be any more: the
// control entry is written anew, and a commit names the version of it that was there before its journal was written. It
// gives the control entry as it then is.
func (l *Log) removeOrphans(ctx context.Context, org id.ID, at kv2.Location, c *State,
	later time.Duration) (*State, error) {
	names, err := at.Below(journals).List(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "/") })
	old := make([]bool, len(names))
	err = conn.Each(ctx, len(names), func(ctx context.Context, i int) error {
		m, found, err := at.Below(journals + "/" + names[i]).Metadata(ctx)
		old[i] = found && m.At.Sub(m.Created)+later >= orphaned
		return err
	})
	if err != nil || !slices.Contains(old, true) {
		return c, err
	}
	if c, err = l.put(ctx, org, at, c.next()); err != nil {
		return nil, err
	}
	return c, conn.Each(ctx, len(names), func(ctx context.Context, i int) error {
		if !old[i] {
			return nil
		}
		return at.Below(journals+"/"+names[i]).Remove(ctx, "metadata") // none is pending: the control entry was at rest
	})
}

// sweeps holds the sweeps of other processes that were found under way, and when this process began its own: zero where
// it has come to know the organisation and not swept it yet.
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

// stall is after what time a sweep that does not end is taken for one whose process has ended. No request of it is
// under way any more then.
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
