package persecret

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
)

// Purge removes the organisation's secrets with all their versions, and what the layout keeps beside them. It is committed
// in the control entry first, so that no reader sees half of it, and that entry goes last.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.queue.Do(ctx, org, func(ctx context.Context) error {
		defer s.forget(org)
		at, err := s.at(ctx, org)
		if errors.Is(err, kv2.ErrNoName) {
			s.conn.Log.Error("an organisation has ended whose secrets are kept under its name, which is not known any more; remove them in Vault by hand", "org", org)
			return nil
		}
		if err != nil {
			return err
		}
		c, err := s.settled(ctx, org, at)
		if err != nil {
			return err
		}
		listed, err := s.list(ctx, at)
		if err != nil {
			return err
		}
		if c.version == 0 && len(listed) == 0 {
			return nil
		}
		next := c.next()
		next.Pending = &pending{ID: rand.Text(), Kind: purging}
		if _, err := s.commit(ctx, org, at, next); err != nil {
			return err
		}
		return s.removeAll(ctx, org, at)
	})
}

func (s *Store) forget(org id.ID) {
	s.sweeps.forget(org)
	s.controls.forget(org)
	s.versions.forgetAll(org)
	s.names.Drop(org)
	s.cache.DropIf(func(n name) bool { return n.org == org })
}

// removeAll carries out a purge. Where the policy forbids to remove entries, their latest versions at least are deleted, as
// far as that goes.
func (s *Store) removeAll(ctx context.Context, org id.ID, at kv2.Location) error {
	defer s.forget(org)
	for range 3 { // what others set meanwhile goes too
		listed, err := s.list(ctx, at)
		if err != nil {
			return err
		}
		if len(listed) == 0 {
			break
		}
		if err := s.removeEntries(ctx, at, listed); conn.Is(err, conn.Denied) {
			return s.deleteEntries(ctx, at, listed)
		} else if err != nil {
			return err
		}
	}
	names, err := at.Below(journals).List(ctx)
	if err != nil {
		return err
	}
	err = each(ctx, len(names), func(ctx context.Context, i int) error {
		return at.Below(journals+"/"+names[i]).Remove(ctx, "metadata")
	})
	if err != nil {
		return err
	}
	return at.Below(StateEntry).Remove(ctx, "metadata")
}

func (s *Store) removeEntries(ctx context.Context, at kv2.Location, listed map[string]bool) error {
	paths := sorted(listed)
	return each(ctx, len(paths), func(ctx context.Context, i int) error {
		return at.Below(paths[i]).Remove(ctx, "metadata")
	})
}

func (s *Store) deleteEntries(ctx context.Context, at kv2.Location, listed map[string]bool) error {
	paths := sorted(listed)
	err := each(ctx, len(paths), func(ctx context.Context, i int) error {
		e, err := at.Below(paths[i]).Read(ctx)
		if err != nil || e.Data == nil {
			return err
		}
		return at.Below(paths[i]).Delete(ctx, e.Version)
	})
	if err != nil {
		return err
	}
	return errs.New(errs.Unavailable, "the secret store deleted the organisation's secrets but refused to remove their earlier versions (permission denied)")
}

func sorted(set map[string]bool) []string {
	paths := make([]string, 0, len(set))
	for p := range set {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// A sweep removes for good what was deleted secret.KeepDeleted ago, or earlier where more than keptDeleted names are
// deleted, and the journals that were never committed. It is announced in the control entry: who would set or bring back
// a deleted secret goes by a journal, and so waits for its end. A set that knows of no deletion relies on what was seen
// less than fresh ago, and nothing is removed before it has been deleted for as long as removable.
//
// KV has no check-and-set for a removal. What somebody else writes to a deleted entry in Vault itself, between the look at it
// and its removal, goes with it.
//
// The servers' clocks may differ. They decide when something is looked at; whether its time is over, Vault's clock does,
// which has noted it.

// removable is the least time between a deletion and the removal. It is long against fresh and the timeout of an operation.
const removable = 10 * time.Minute

// orphaned is after what time a journal that is not pending was never committed.
const orphaned = time.Hour

// sweepEvery is how often an organisation with deleted secrets is swept, and sweepOthers how often one without, in which a
// journal may have been left behind.
const (
	sweepEvery  = time.Hour
	sweepOthers = 24 * time.Hour
)

// overdue is a hint whose entry may go, if it has been deleted for so long.
type overdue struct {
	deletion
	after time.Duration
}

// due are the hints whose entries may go, the oldest first.
func (c *control) due(now time.Time) (due []overdue) {
	for i, d := range c.Deleted {
		after := secret.KeepDeleted
		if len(c.Deleted)-i > keptDeleted {
			after = removable
		}
		if now.Sub(time.Unix(d.At, 0)) >= after {
			due = append(due, overdue{d, after})
		}
	}
	return due
}

// sweepSoon has the organisation swept in its turn, if it has not been for a while.
func (s *Store) sweepSoon(org id.ID) {
	s.sweeps.mu.Lock()
	defer s.sweeps.mu.Unlock()
	if s.sweeps.last == nil || len(s.sweeps.last) >= maxKnown {
		s.sweeps.last = make(map[id.ID]time.Time)
	}
	if time.Since(s.sweeps.last[org]) < sweepEvery {
		return
	}
	s.sweeps.last[org] = time.Now()
	s.queue.Go(org, func(ctx context.Context) error { return s.sweep(ctx, org, time.Now()) })
}

// watch has the organisation swept now and then from the next time on: what another process deleted, or left behind when
// it ended, goes as well.
func (s *Store) watch(org id.ID) {
	if s.places.ReadOnly(org) {
		return
	}
	s.sweeps.mu.Lock()
	defer s.sweeps.mu.Unlock()
	if _, ok := s.sweeps.last[org]; ok {
		return
	}
	if s.sweeps.last == nil || len(s.sweeps.last) >= maxKnown {
		s.sweeps.last = make(map[id.ID]time.Time)
	}
	s.sweeps.last[org] = time.Time{}
}

// sweepNowAndThen sweeps the organisations that this process has come to know.
func (s *Store) sweepNowAndThen() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.conn.Base().Done():
			return
		case <-tick.C:
			s.SweepKnown(s.conn.Base(), time.Now())
		}
	}
}

// SweepKnown sweeps those of the organisations that this process has come to know whose time it is, one after the other.
func (s *Store) SweepKnown(ctx context.Context, now time.Time) {
	for _, org := range s.toSweep(now) {
		if ctx.Err() != nil {
			return
		}
		if err := s.Sweep(ctx, org, now); err != nil && ctx.Err() == nil {
			s.conn.Log.Debug("an organisation was not swept", "org", org, "error", err) // the next time, then
		}
	}
}

// toSweep gives the organisations whose time it is, which they then have had.
func (s *Store) toSweep(now time.Time) (orgs []id.ID) {
	s.sweeps.mu.Lock()
	defer s.sweeps.mu.Unlock()
	for org, last := range s.sweeps.last {
		every := sweepOthers
		if c := s.controls.of(org); c != nil && len(c.Deleted) > 0 {
			every = sweepEvery
		}
		// The ticks are not quite so far apart.
		if now.Sub(last) > every-time.Minute {
			s.sweeps.last[org] = now
			orgs = append(orgs, org)
		}
	}
	return orgs
}

// Sweep removes what is due at a time, in its turn.
func (s *Store) Sweep(ctx context.Context, org id.ID, now time.Time) error {
	return s.queue.Do(ctx, org, func(ctx context.Context) error { return s.sweep(ctx, org, now) })
}

// sweep removes what is due at a time.
func (s *Store) sweep(ctx context.Context, org id.ID, now time.Time) error {
	at, err := s.at(ctx, org)
	if err != nil {
		return err
	}
	c, err := s.settled(ctx, org, at)
	if err != nil {
		return err
	}
	later := time.Until(now) // nothing, but in tests
	if c, err = s.removeOrphans(ctx, org, at, c, later); err != nil {
		return err
	}
	due := c.due(now)
	if len(due) == 0 {
		return nil
	}
	next := c.next()
	next.Pending = &pending{ID: rand.Text(), Kind: sweeping}
	if c, err = s.commit(ctx, org, at, next); err != nil {
		return err
	}
	var mu sync.Mutex
	over := make(map[string]bool)
	// Half of the time is for removals to begin in. What is under way then ends, the sweep is said to be over, and what is
	// left is due at the next.
	began := time.Now()
	err = each(ctx, len(due), func(ctx context.Context, i int) error {
		if time.Since(began) > s.conn.Timeout/2 {
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
		s.conn.Log.Warn("deleted secrets could not be removed for good", "org", org, "error", err)
	}
	done := c.next()
	done.hint(func(path string) bool { return over[path] }, nil)
	return s.rest(ctx, org, at, done)
}

// removeOrphans removes the journals that were written and never committed, once none of them can be any more: the control
// entry is written anew, and a commit names the version of it that was there before its journal was written. It gives
// the control entry as it then is.
func (s *Store) removeOrphans(ctx context.Context, org id.ID, at kv2.Location, c *control, later time.Duration) (*control, error) {
	names, err := at.Below(journals).List(ctx)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "/") })
	old := make([]bool, len(names))
	err = each(ctx, len(names), func(ctx context.Context, i int) error {
		m, found, err := at.Below(journals + "/" + names[i]).Metadata(ctx)
		old[i] = found && m.At.Sub(m.Created)+later >= orphaned
		return err
	})
	if err != nil || !slices.Contains(old, true) {
		return c, err
	}
	if c, err = s.put(ctx, org, at, c.next()); err != nil {
		return nil, err
	}
	return c, each(ctx, len(names), func(ctx context.Context, i int) error {
		if !old[i] {
			return nil
		}
		return at.Below(journals+"/"+names[i]).Remove(ctx, "metadata") // none is pending: the control entry was at rest
	})
}
