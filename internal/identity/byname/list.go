// Package byname lists people and organisations in the order of their names. The names of all of them are in memory in
// that order, so that a page of such a list is not made by reading and sorting all that there are.
package byname

import (
	"context"
	"errors"
	"maps"
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
	// mostStale is how many changed records are read anew by themselves; for more, all are.
	mostStale = 1000
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

// list are the names below a folder. Which records change, touched tells it: at once what this server changes, and
// follow what others do. Those are read anew when the list is wanted.
type list struct {
	kv     kv.Store
	folder string
	most   int
	always bool          // reads all for each list: nothing is believed
	turn   chan struct{} // one in it while somebody reads

	mu      sync.Mutex
	entries []entry // in order, and changed by nobody; nil where they are to be read
	tooMany bool
	stale   map[string]bool // the keys of the records that have changed since
	forgets uint64
	known   time.Time // until when the watch has told all; zero where there is none
	clock   uint64    // counts who asks, and the reads
	last    outcome   // of the last read
}

// outcome is what a read gave, and when it began.
type outcome struct {
	began   uint64
	entries []entry
	err     error
}

func newList(store kv.Store, folder string, always bool) *list {
	return &list{kv: store, folder: folder, most: mostKept, always: always, turn: make(chan struct{}, 1),
		stale: make(map[string]bool)}
}

// forget has all names read anew.
func (l *list) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

// drop is forget with the lock held.
func (l *list) drop() {
	l.forgets++
	l.entries, l.tooMany = nil, false
	clear(l.stale)
}

// touched tells of a record that has changed, or may have.
func (l *list) touched(key string, deleted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.tooMany && deleted, len(l.stale) == mostStale && !l.stale[key]:
		l.drop()
	case !l.tooMany:
		l.stale[key] = true
	}
}

// believed reports whether memory counts, with the lock held. Both clocks do: the one that nobody sets stands still
// while a machine sleeps.
func (l *list) believed() bool {
	now := time.Now()
	return !l.always && !l.known.IsZero() && now.Sub(l.known) <= stale && now.Round(0).Sub(l.known.Round(0)) <= stale
}

// kept gives what is in memory, if it is all there is, with the lock held.
func (l *list) kept() (o outcome, ok bool) {
	switch {
	case !l.believed():
		return outcome{}, false
	case l.tooMany:
		return outcome{err: errTooMany}, true
	}
	return outcome{entries: l.entries}, l.entries != nil && len(l.stale) == 0
}

// all are the names, in order, or errTooMany. One caller at a time reads, for all who wait by then.
func (l *list) all(ctx context.Context) ([]entry, error) {
	l.mu.Lock()
	l.clock++
	came := l.clock
	o, ok := l.kept()
	l.mu.Unlock()
	if ok {
		return o.entries, o.err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	if l.last.began > came {
		defer l.mu.Unlock()
		return l.last.entries, l.last.err
	}
	if o, ok := l.kept(); ok {
		l.mu.Unlock()
		return o.entries, o.err
	}
	l.clock++
	began, forgets, base, changed := l.clock, l.forgets, l.entries, l.stale
	if !l.believed() {
		base = nil
	}
	l.stale = make(map[string]bool) // what changes from now on
	l.mu.Unlock()
	var err error
	if base != nil {
		base, err = l.again(ctx, base, changed)
	} else {
		base, err = l.read(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && !errors.Is(err, errTooMany) {
		if l.forgets == forgets {
			maps.Copy(l.stale, changed)
		}
		return nil, err
	}
	l.last = outcome{began, base, err}
	if l.forgets == forgets {
		l.entries, l.tooMany = base, err != nil
	}
	return base, err
}

// read reads all. A record that is forged or damaged has no name: its own page tells of it, and influxd check.
func (l *list) read(ctx context.Context) ([]entry, error) {
	all, size := []entry{}, 0
	err := record.ScanWhole(ctx, l.kv, l.folder, func(r kv.Record) (bool, error) {
		e, err := record.Decode[entry](r)
		if err != nil {
			return false, err
		}
		all = append(all, e)
		if size += e.size(); size > l.most {
			return false, errTooMany
		}
		return true, nil
	})
	if err != nil && !errors.Is(err, kv.ErrForged) {
		return nil, err
	}
	natural.SortPeople(all, entry.name)
	return all, nil
}

// again reads those that have changed, and gives a list with them.
func (l *list) again(ctx context.Context, base []entry, changed map[string]bool) ([]entry, error) {
	gone := make(map[id.ID]bool, len(changed))
	var found []entry
	for key := range changed {
		who, err := id.Parse(record.Last(key))
		if err != nil { // nobody's
			continue
		}
		gone[who] = true
		e, _, there, err := record.Find[entry](ctx, l.kv, key)
		if err != nil && !errors.Is(err, kv.ErrForged) {
			return nil, err
		}
		if there && err == nil {
			found = append(found, e)
		}
	}
	natural.SortPeople(found, entry.name)
	all, size := make([]entry, 0, len(base)+len(found)), 0
	add := func(e entry) {
		all = append(all, e)
		size += e.size()
	}
	for _, e := range base {
		if gone[e.ID] {
			continue
		}
		for len(found) > 0 && natural.ComparePeople(found[0].Name, e.Name) < 0 {
			add(found[0])
			found = found[1:]
		}
		add(e)
	}
	for _, e := range found {
		add(e)
	}
	if size > l.most {
		return nil, errTooMany
	}
	return all, nil
}

func (e entry) name() string { return e.Name }

func (e entry) size() int { return entryCost + len(e.Name) + len(e.Description) }

// follow hears of changes, until ctx ends.
func (l *list) follow(ctx context.Context, report func(error)) {
	for ctx.Err() == nil {
		first := true
		err := l.kv.Watch(ctx, l.folder, 0, func(u kv.Update) {
			if first { // what came before was not told
				l.forget()
				first = false
			}
			for _, e := range u.Events {
				l.touched(e.Key, e.Deleted)
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

// Txn is the engine's. Whether it was carried out or not is not always known, so its records are read anew either way.
func (s *Store) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := s.Store.Txn(ctx, conds, ops)
	for _, l := range s.lists {
		for _, op := range ops {
			switch {
			case op.Kind == kv.OpDeletePrefix &&
				(strings.HasPrefix(op.Key, l.folder) || strings.HasPrefix(l.folder, op.Key)):
				l.forget()
			case strings.HasPrefix(op.Key, l.folder):
				l.touched(op.Key, op.Kind == kv.OpDelete)
			}
		}
	}
	return rev, err
}
