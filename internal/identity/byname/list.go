// Package byname lists people and organisations in the order of their names. The names of all of them are in memory in
// that order, so that a page of such a list is not made by reading and sorting all that there are.
package byname

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/natural"
)

const (
	// mostKept bounds what one list keeps, in bytes: some 150,000 names. entryCost is what one takes beside its texts.
	mostKept  = 16 << 20
	entryCost = 72
	// stale is for how long the names are believed without a word of the watch, which comes every kv.WatchPulse.
	stale = 3 * time.Second
	// followPause is how long a watch that has ended waits before it begins again.
	followPause = 200 * time.Millisecond
)

// errTooMany is that there are more names than are kept.
var errTooMany = errors.New("byname: too many names")

// entry is what a record is found by.
type entry struct {
	ID          id.ID  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// list are the names below a folder. What this server changes, changed tells it at once; what others do, follow.
type list struct {
	kv     kv.Store
	folder string
	most   int
	turn   chan struct{} // one in it while somebody reads

	mu      sync.Mutex
	entries []entry // in order, and changed by nobody; nil where they are to be read
	tooMany bool
	changes uint64
	known   time.Time // until when the watch has told all; zero where there is none
}

func newList(store kv.Store, folder string) *list {
	return &list{kv: store, folder: folder, most: mostKept, turn: make(chan struct{}, 1)}
}

// changed forgets the names.
func (l *list) changed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes++
	l.entries, l.tooMany = nil, false
}

// kept gives what is in memory, if it may be believed. Both clocks count: the one that nobody sets stands still while a
// machine sleeps.
func (l *list) kept() (all []entry, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.known.IsZero() || now.Sub(l.known) > stale || now.Round(0).Sub(l.known.Round(0)) > stale {
		return nil, false, nil
	}
	if l.tooMany {
		return nil, true, errTooMany
	}
	return l.entries, l.entries != nil, nil
}

// all are the names, in order, or errTooMany.
func (l *list) all(ctx context.Context) ([]entry, error) {
	if all, ok, err := l.kept(); ok {
		return all, err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if all, ok, err := l.kept(); ok { // whoever was before has read them
		return all, err
	}
	l.mu.Lock()
	before := l.changes
	l.mu.Unlock()
	all, err := l.read(ctx)
	if err == nil || errors.Is(err, errTooMany) {
		l.mu.Lock()
		if l.changes == before {
			l.entries, l.tooMany = all, err != nil
		}
		l.mu.Unlock()
	}
	return all, err
}

func (l *list) read(ctx context.Context) ([]entry, error) {
	all, size := []entry{}, 0
	err := record.Scan(ctx, l.kv, l.folder, "", func(r kv.Record) (bool, error) {
		e, err := record.Decode[entry](r)
		if err != nil {
			return false, err
		}
		all = append(all, e)
		if size += entryCost + len(e.Name) + len(e.Description); size > l.most {
			return false, errTooMany
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	natural.SortPeople(all, func(e entry) string { return e.Name })
	return all, nil
}

// follow hears of changes, until ctx ends.
func (l *list) follow(ctx context.Context, report func(error)) {
	for ctx.Err() == nil {
		first := true
		err := l.kv.Watch(ctx, l.folder, 0, func(u kv.Update) {
			if first || len(u.Events) > 0 { // what came before the first was not told
				l.changed()
				first = false
			}
			if !u.Known.IsZero() {
				l.mu.Lock()
				l.known = u.Known
				l.mu.Unlock()
			}
		})
		l.mu.Lock()
		l.known = time.Time{}
		l.mu.Unlock()
		if ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}

// Store is an engine whose transactions tell the lists of what they change.
type Store struct {
	kv.Store
	lists []*list
}

// Settled marks it for kv.Settled: its transactions are those of an engine that is.
func (*Store) Settled() {}

// Skip is the engine's.
func (s *Store) Skip(ctx context.Context, prefix, from string, back bool, n int) (string, int, error) {
	return kv.Skip(ctx, s.Store, prefix, from, back, n)
}

// Txn is the engine's. Whether it was carried out or not is not always known, so the names are forgotten either way.
func (s *Store) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := s.Store.Txn(ctx, conds, ops)
	for _, l := range s.lists {
		for _, op := range ops {
			if strings.HasPrefix(op.Key, l.folder) {
				l.changed()
				break
			}
		}
	}
	return rev, err
}
