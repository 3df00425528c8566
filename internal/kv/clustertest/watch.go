package clustertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// Watch tells of changes.
func (s *Server) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	c := s.cluster
	breaks, told := s.breaks, after
	if after == 0 {
		told = c.rev
	}
	c.mu.Unlock()
	again := time.NewTicker(pulse)
	defer again.Stop()
	for first := true; ; first = false {
		now := time.Now()
		c.mu.Lock()
		err := s.state()
		switch {
		case err != nil:
		case s.broken != nil:
			err = s.broken
		case s.breaks != breaks:
			err = kv.ErrUnavailable
		case told < c.compacted && !s.stalled:
			err = kv.ErrLagging
		}
		u, silent, changed := kv.Update{Known: now}, s.stalled && !first, c.changed
		if err == nil && !silent {
			u.Events = c.since(told, prefix)
			told = max(told, c.rev)
			u.Rev = told
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if !silent {
			tell(u)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-again.C:
		}
	}
}

// since gives what has changed below the prefix after a revision. The lock is held.
func (c *Cluster) since(rev int64, prefix string) (events []kv.Event) {
	for _, e := range c.log {
		if e.Rev > rev && strings.HasPrefix(e.Key, prefix) {
			e.Record = copied(e.Record)
			events = append(events, e)
		}
	}
	return events
}

// Hold holds a name.
func (s *Server) Hold(ctx context.Context, name string) (context.Context, func(), error) {
	c := s.cluster
	for {
		if err := s.enter(ctx); err != nil {
			return nil, nil, err
		}
		if c.holds[name] == nil {
			break
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-changed:
		}
	}
	defer c.mu.Unlock()
	held, lose := context.WithCancel(ctx)
	mine := &hold{s, lose}
	c.holds[name] = mine
	return held, sync.OnceFunc(func() {
		lose()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.holds[name] == mine {
			delete(c.holds, name)
			c.wake()
		}
	}), nil
}

// letGo ends what the server holds. The lock is held.
func (s *Server) letGo() {
	for name, h := range s.cluster.holds {
		if h.by == s {
			h.lose()
			delete(s.cluster.holds, name)
		}
	}
}
