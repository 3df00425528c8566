// Package clustertest is an engine for tests: the data of several servers in memory, shaped like an etcd cluster, with
// its bounds and its faults. Each fault comes when a test says so; see faults.go.
package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// pulse is how often a watch tells of being alive: sooner than it must, so that no test waits for it.
const pulse = 20 * time.Millisecond

// Cluster is the data that several servers share.
type Cluster struct {
	mu        sync.Mutex
	rev       int64
	records   []kv.Record // in the order of their keys
	log       []kv.Event  // what watches are told
	compacted int64       // the log has what came after it
	holds     map[string]*hold
	changed   chan struct{} // closed, and another in its place, whenever anything is new
}

type hold struct {
	by   *Server
	lose context.CancelFunc
}

// New makes an empty cluster.
func New() *Cluster {
	return &Cluster{rev: 1, holds: make(map[string]*hold), changed: make(chan struct{})}
}

// Server is a server's connection to the cluster. It is a kv.Store.
type Server struct {
	cluster *Cluster

	// Below: guarded by the cluster's lock.
	closed  bool
	cut     bool
	stalled bool
	breaks  int   // how often the watches were broken
	broken  error // by what they are; nil where they are not
	txns    script
}

var _ kv.Store = (*Server)(nil)

// Server connects another server.
func (c *Cluster) Server() *Server { return &Server{cluster: c} }

// wake tells all who wait that something is new. The lock is held.
func (c *Cluster) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// enter begins a call, with the lock held where it gives no error.
func (s *Server) enter(ctx context.Context) error {
	s.cluster.mu.Lock()
	err := ctx.Err() // with the lock held: what is let go when ctx ends is nothing for whoever ends with it
	if err == nil {
		err = s.state()
	}
	if err != nil {
		s.cluster.mu.Unlock()
	}
	return err
}

// state is what no call gets past. The lock is held.
func (s *Server) state() error {
	switch {
	case s.closed:
		return kv.ErrClosed
	case s.cut:
		return fmt.Errorf("%w: the server is cut off", kv.ErrUnavailable)
	}
	return nil
}

// at finds where a key is among the records, or would be. The lock is held.
func (c *Cluster) at(key string) (int, bool) {
	return slices.BinarySearchFunc(c.records, key, byKey)
}

func byKey(r kv.Record, key string) int { return strings.Compare(r.Key, key) }

func copied(r kv.Record) kv.Record {
	r.Value = append([]byte{}, r.Value...)
	return r
}

// Get returns one record.
func (s *Server) Get(ctx context.Context, key string) (kv.Record, error) {
	if err := s.enter(ctx); err != nil {
		return kv.Record{}, err
	}
	defer s.cluster.mu.Unlock()
	i, ok := s.cluster.at(key)
	if !ok {
		return kv.Record{}, kv.ErrNotFound
	}
	return copied(s.cluster.records[i]), nil
}

// List returns one page of records.
func (s *Server) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	return s.list(ctx, limit, func(all []kv.Record) []kv.Record {
		from := max(prefix, after)
		i, there := slices.BinarySearchFunc(all, from, byKey)
		if there && from == after && after != "" {
			i++
		}
		all = all[i:]
		end := slices.IndexFunc(all, func(r kv.Record) bool { return !strings.HasPrefix(r.Key, prefix) })
		if end < 0 {
			end = len(all)
		}
		return all[:min(end, limit)]
	})
}

// ListBack returns one page from the end.
func (s *Server) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	recs, err := s.list(ctx, limit, func(all []kv.Record) []kv.Record {
		return slices.DeleteFunc(slices.Clone(all), func(r kv.Record) bool {
			return !strings.HasPrefix(r.Key, prefix) || before != "" && r.Key >= before
		})
	})
	slices.Reverse(recs)
	return recs[:min(len(recs), max(limit, 0))], err
}

func (s *Server) list(ctx context.Context, limit int, of func([]kv.Record) []kv.Record) ([]kv.Record, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, limit)
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.cluster.mu.Unlock()
	found := of(s.cluster.records)
	out := make([]kv.Record, len(found))
	for i, r := range found {
		out[i] = copied(r)
	}
	return out, nil
}

// Txn carries out a transaction; see Server.Lose and Server.Before for what can come of it.
func (s *Server) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := kv.Validate(conds, ops); err != nil {
		return 0, err
	}
	step := s.step()
	step.before()
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	rev, err := s.cluster.txn(conds, ops)
	s.cluster.mu.Unlock()
	if step.lose == nil {
		return rev, err
	}
	return 0, s.lost(ctx, step)
}

// txn carries out a transaction. The lock is held.
func (c *Cluster) txn(conds []kv.Cond, ops []kv.Op) (int64, error) {
	for _, cond := range conds {
		is := int64(0)
		if i, ok := c.at(cond.Key); ok {
			is = c.records[i].Rev
		}
		if is != cond.Rev {
			return 0, kv.ErrConflict
		}
	}
	rev := c.rev + 1
	var events []kv.Event
	for _, op := range ops {
		i, there := c.at(op.Key)
		switch op.Kind {
		case kv.OpPut:
			r := copied(kv.Record{Key: op.Key, Value: op.Value, Rev: rev})
			if there {
				c.records[i] = r
			} else {
				c.records = slices.Insert(c.records, i, r)
			}
			events = append(events, kv.Event{Record: r})
		case kv.OpDelete, kv.OpDeletePrefix:
			end := i
			for end < len(c.records) && (c.records[end].Key == op.Key ||
				op.Kind == kv.OpDeletePrefix && strings.HasPrefix(c.records[end].Key, op.Key)) {
				gone := kv.Record{Key: c.records[end].Key, Rev: rev}
				events = append(events, kv.Event{Record: gone, Deleted: true})
				end++
			}
			c.records = slices.Delete(c.records, i, end)
		}
	}
	if len(events) > 0 {
		c.rev = rev
		c.log = append(c.log, events...)
		c.wake()
	}
	return c.rev, nil
}

// Close ends the server's watches, and lets go of what it holds.
func (s *Server) Close() error {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.closed = true
	s.letGo()
	s.cluster.wake()
	return nil
}
