// Package near keeps records of an engine elsewhere in memory, and keeps them true by the engine's watch, so that what
// is read often costs no way over the network.
//
// Get and List of a Store ask the engine, as those of any kv.Store, and what they bring is kept. Recall gives what is
// in memory and asks nobody. It is for whoever can do with that, in one of two ways:
//
//   - A plan of a transaction has the condition that what it read is unchanged. Where memory was behind, the
//     transaction is refused, and the plan is made again from the engine.
//   - A reader asks Fresh before whether the engine has told all that happened until not long ago.
//
// What Recall gives is, at each moment, the engine's data as they were at one revision: that up to which the watch
// has told everything. A record that is newer, since it was read here before the watch told of it, is not known until
// then; and while there is no watch, nothing is.
//
// What this server has changed itself is known at once, where the transaction had the condition on a record that it
// puts, a guard, that this is what memory knew of it. So if all changes of some records go through one guard, memory
// has them all as they were at one of the guard's revisions, though the watch is not there yet.
//
// Values are kept as they are in the engine: sealed.
package near

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/kv"
)

// overhead is what a record takes beside its key and value, about.
const overhead = 160

// followPause is how long a watch that has ended waits before it begins again.
const followPause = 200 * time.Millisecond

// Config is what a Store is made with.
type Config struct {
	// Prefixes are what the keys of records begin with that are kept.
	Prefixes []string
	// Limit bounds what is kept, in bytes, and Largest each record.
	Limit, Largest int
	// Revision gives the engine's revision: that of all transactions that had returned when it was called, or a later
	// one. Without it, nothing is known to be current.
	Revision func(context.Context) (int64, error)
	// Hasten has the engine's watch tell soon how far it is. Nil where it tells that by itself.
	Hasten func()
}

// Store is an engine with records of it in memory. Run Follow: without it, Recall knows nothing.
type Store struct {
	kv.Store
	prefixes []string
	largest  int
	metrics  metrics
	revision func(context.Context) (int64, error)
	hasten   func()
	checks   checks

	mu       sync.RWMutex
	kept     *bounded.Map[string, entry]
	bytes    int
	alive    bool          // there is a watch
	told     int64         // the revision up to which it has told everything
	advanced chan struct{} // closed when told has changed; nil where nobody waits for that
	known    time.Time     // until when it has
	reading  map[string]map[*read]bool
}

// entry is a record that is kept. It is sound where it may be believed before the watch has come to its revision.
type entry struct {
	kv.Record
	sound bool
}

// read is a read or a write that is under way, with the revision of the last change of its record that the watch has
// told of since it began: what it brings is kept if it is newer than that.
type read struct{ told int64 }

var _ kv.Store = (*Store)(nil)

// New puts a memory before the engine, whose transactions are settled.
func New(engine kv.Store, c Config) *Store {
	s := &Store{Store: engine, prefixes: c.Prefixes, largest: c.Largest, revision: c.Revision, hasten: c.Hasten,
		reading: make(map[string]map[*read]bool)}
	s.kept = bounded.New(c.Limit, func(_ string, e entry) { s.bytes -= room(e.Record) })
	s.metrics = newMetrics(s)
	return s
}

func room(r kv.Record) int { return len(r.Key) + len(r.Value) + overhead }

// Settled marks it for kv.Settled: its transactions are those of an engine that is.
func (s *Store) Settled() {}

// keeps reports whether records of the key are kept.
func (s *Store) keeps(key string) bool {
	for _, p := range s.prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// Recall gives a record as it is in memory; known is false where the engine has to be asked. Nobody may change its
// value.
func (s *Store) Recall(key string) (rec kv.Record, known bool) {
	s.mu.RLock()
	e, known := s.recall(key)
	s.mu.RUnlock()
	s.metrics.count(known)
	return e.Record, known
}

func (s *Store) recall(key string) (entry, bool) {
	e, in := s.kept.Get(key)
	return e, in && s.alive && (e.sound || e.Rev <= s.told)
}

// guarded reports whether the transaction puts a record under the condition that it is what memory knows of it.
func (s *Store) guarded(conds []kv.Cond, ops []kv.Op) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range conds {
		if e, known := s.recall(c.Key); known && e.Rev == c.Rev &&
			slices.ContainsFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpPut && op.Key == c.Key }) {
			return true
		}
	}
	return false
}

// Fresh reports whether the engine has told all that had happened until so long ago. Both clocks count: the one that
// nobody sets stands still while a machine sleeps.
func (s *Store) Fresh(stale time.Duration) bool {
	s.mu.RLock()
	known, alive := s.known, s.alive
	s.mu.RUnlock()
	if !alive || known.IsZero() || stale <= 0 {
		return false
	}
	now := time.Now()
	return now.Sub(known) <= stale && now.Round(0).Sub(known.Round(0)) <= stale
}

// Get asks the engine for a record, and keeps it.
func (s *Store) Get(ctx context.Context, key string) (kv.Record, error) {
	if !s.keeps(key) {
		return s.Store.Get(ctx, key)
	}
	r := s.begin(key)
	rec, err := s.Store.Get(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(key, r)
	if err == nil && rec.Rev > r.told {
		s.keep(entry{Record: cloned(rec)})
	}
	return rec, err
}

// List asks the engine for a page of records, and keeps them.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if !s.keeps(prefix) {
		return s.Store.List(ctx, prefix, after, limit)
	}
	r := s.begin("")
	recs, err := s.Store.List(ctx, prefix, after, limit)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end("", r)
	for _, rec := range recs {
		if err == nil && rec.Rev > r.told {
			s.keep(entry{Record: cloned(rec)})
		}
	}
	return recs, err
}

// Skip is the engine's.
func (s *Store) Skip(ctx context.Context, prefix, from string, back bool, n int) (string, int, error) {
	return kv.Skip(ctx, s.Store, prefix, from, back, n)
}

// Txn has the engine carry out a transaction. What it has changed is known here at once.
func (s *Store) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	writes := make([]*read, len(ops))
	for i, op := range ops {
		if op.Kind == kv.OpPut && s.keeps(op.Key) {
			writes[i] = s.begin(op.Key)
		}
	}
	sound := s.guarded(conds, ops)
	rev, err := s.Store.Txn(ctx, conds, ops)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, op := range ops {
		if w := writes[i]; w != nil {
			s.end(op.Key, w)
			if err == nil {
				s.put(kv.Record{Key: op.Key, Value: op.Value, Rev: rev}, w, sound)
				continue
			}
		}
		// It is gone, or it is not known what came of it.
		switch {
		case op.Kind == kv.OpDeletePrefix:
			s.forgetAll(op.Key)
		case s.keeps(op.Key):
			s.forget(op.Key)
		}
	}
	if err != nil { // what its plan had recalled may be what was wrong
		for _, c := range conds {
			s.forget(c.Key)
		}
	}
	return rev, err
}

// put takes over what a transaction of this server has put. Reads that are under way may be of before it.
func (s *Store) put(rec kv.Record, w *read, sound bool) {
	s.touched(rec.Key, rec.Rev-1)
	if was, in := s.kept.Get(rec.Key); in && was.Rev >= rec.Rev {
		return
	}
	s.kept.Drop(rec.Key) // also where the new one is too large
	if rec.Rev > w.told {
		s.keep(entry{cloned(rec), sound})
	}
}

func cloned(r kv.Record) kv.Record {
	r.Value = append([]byte{}, r.Value...)
	return r
}

// begin notes a read of a key, or, with "", of several.
func (s *Store) begin(key string) *read {
	r := &read{}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[key] == nil {
		s.reading[key] = make(map[*read]bool, 1)
	}
	s.reading[key][r] = true
	return r
}

// end is the end of a read. The caller holds s.mu, as that of all that follow.
func (s *Store) end(key string, r *read) {
	if delete(s.reading[key], r); len(s.reading[key]) == 0 {
		delete(s.reading, key)
	}
}

// keep keeps a record, unless a newer one is there.
func (s *Store) keep(e entry) {
	if !s.alive || len(e.Value) > s.largest {
		return
	}
	if was, in := s.kept.Get(e.Key); in && was.Rev >= e.Rev {
		return
	}
	s.kept.Put(e.Key, e, room(e.Record))
	if _, in := s.kept.Get(e.Key); in {
		s.bytes += room(e.Record)
	}
}

// touched has the reads of a key that are under way keep nothing that is not newer than the revision, and tells whether
// there are any.
func (s *Store) touched(key string, rev int64) (awaited bool) {
	for _, of := range []string{key, ""} {
		for r := range s.reading[of] {
			r.told = max(r.told, rev)
		}
	}
	return len(s.reading[key]) > 0
}

// change takes over what a record is now. One that nobody has read, or is about to, stays out.
func (s *Store) change(rec kv.Record, gone bool) {
	awaited := s.touched(rec.Key, rec.Rev)
	was, in := s.kept.Get(rec.Key)
	switch {
	case in && was.Rev >= rec.Rev:
	case gone:
		s.kept.Drop(rec.Key)
	case in || awaited:
		s.kept.Drop(rec.Key) // also where the new one is too large
		s.keep(entry{Record: rec})
	}
}

func (s *Store) forget(key string) {
	s.touched(key, math.MaxInt64)
	s.kept.Drop(key)
}

func (s *Store) forgetAll(prefix string) {
	if prefix != "" && !s.keeps(prefix) && !slices.ContainsFunc(s.prefixes,
		func(p string) bool { return strings.HasPrefix(p, prefix) }) {
		return
	}
	for _, reads := range s.reading {
		for r := range reads {
			r.told = math.MaxInt64
		}
	}
	for key := range s.kept.Keys() {
		if strings.HasPrefix(key, prefix) {
			s.kept.Drop(key)
		}
	}
}

// Follow keeps true what is in memory until ctx ends. While a watch is broken nothing is recalled, and when one begins,
// memory is empty. What ended a watch is told to report.
func (s *Store) Follow(ctx context.Context, report func(error)) {
	for ctx.Err() == nil {
		first := true
		err := s.Store.Watch(ctx, "", 0, func(u kv.Update) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if first { // what came before it was not told
				s.forgetAll("")
				first, s.alive = false, true
			}
			for _, e := range u.Events {
				if s.keeps(e.Key) {
					s.change(e.Record, e.Deleted)
				}
			}
			s.told = u.Rev
			if s.advanced != nil {
				close(s.advanced)
				s.advanced = nil
			}
			if !u.Known.IsZero() {
				s.known = u.Known
			}
		})
		s.mu.Lock()
		s.alive, s.known = false, time.Time{}
		s.forgetAll("")
		s.mu.Unlock()
		if ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}
