package bolt

import (
	"context"
	"strings"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// maxWaiting is how many updates wait for a watcher before it counts as lagging: as many as a commit makes, twice.
const maxWaiting = 2 * maxBatch

// watchers are told what the writer has committed. This file has one process: there is nothing else to watch.
type watchers struct {
	mu  sync.Mutex
	rev int64 // of the last commit that was told
	all map[*watcher]bool
}

type watcher struct {
	prefix  string
	updates chan kv.Update // closed where the watcher lags
}

// tell hands the events of a transaction to those that watch their keys. Only the writer calls it.
func (w *watchers) tell(rev int64, events []kv.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rev = rev
	for one := range w.all {
		u := kv.Update{Rev: rev}
		for _, e := range events {
			if strings.HasPrefix(e.Key, one.prefix) {
				u.Events = append(u.Events, e)
			}
		}
		if len(u.Events) == 0 {
			continue
		}
		select {
		case one.updates <- u:
		default:
			delete(w.all, one)
			close(one.updates)
		}
	}
}

// Watch tells of changes; see kv.Store. Changes of the past are not kept.
func (db *DB) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.done:
		return kv.ErrClosed
	default:
	}
	one := &watcher{prefix: prefix, updates: make(chan kv.Update, maxWaiting)}
	begun := time.Now()
	w := &db.watchers
	w.mu.Lock()
	rev := w.rev
	if after != 0 && after < rev {
		w.mu.Unlock()
		return kv.ErrLagging
	}
	w.all[one] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, one)
	}()
	tell(kv.Update{Rev: rev, Known: begun})
	pulse := time.NewTicker(kv.WatchPulse)
	defer pulse.Stop()
	for {
		select {
		case u, ok := <-one.updates:
			if !ok {
				return kv.ErrLagging
			}
			rev = u.Rev
			tell(u)
		case <-pulse.C:
			u := kv.Update{Rev: rev, Known: time.Now()}
			if len(one.updates) > 0 {
				u.Known = time.Time{}
			}
			tell(u)
		case <-ctx.Done():
			return ctx.Err()
		case <-db.done:
			return kv.ErrClosed
		}
	}
}

// heldNames are the names that are held in this process, which is the file's only one.
type heldNames struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is let go of
}

// Hold holds a name; see kv.Store.
func (db *DB) Hold(ctx context.Context, name string) (context.Context, func(), error) {
	h := &db.holds
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		select {
		case <-db.done:
			return nil, nil, kv.ErrClosed
		default:
		}
		h.mu.Lock()
		others, busy := h.held[name]
		if !busy {
			mine := make(chan struct{})
			h.held[name] = mine
			h.mu.Unlock()
			held, cancel := context.WithCancel(ctx)
			return held, sync.OnceFunc(func() {
				cancel()
				h.mu.Lock()
				defer h.mu.Unlock()
				delete(h.held, name)
				close(mine)
			}), nil
		}
		h.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-db.done:
			return nil, nil, kv.ErrClosed
		}
	}
}
