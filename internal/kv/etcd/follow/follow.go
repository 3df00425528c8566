// Package follow has all who follow records do so by one watch of the engine. A server follows a dozen kinds of
// records, and each organisation whose secrets somebody waits for. With a watch for each, every one of them would ask
// etcd once a second how far it is.
package follow

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// mostWaiting is how many events may wait for one who follows. Who has more to hear is told that he is behind.
const mostWaiting = 1 << 16

// Watch is one watch of the engine, for as long as anybody follows.
type Watch struct {
	watch    func(context.Context, func(kv.Update)) error
	revision func(context.Context) (int64, error)

	mu  sync.Mutex // also of all streams
	now *stream    // nil where nobody follows
}

// New makes one of what watches all records from now on, as kv.Store says, and what gives the engine's revision: that
// of all transactions that had returned when it was called, or a later one.
func New(watch func(context.Context, func(kv.Update)) error, revision func(context.Context) (int64, error)) *Watch {
	return &Watch{watch: watch, revision: revision}
}

// stream is a watch that has not ended, and who follows by it.
type stream struct {
	begun, ended chan struct{} // closed with its first update, and when it has ended
	err          error         // what it ended with
	end          context.CancelFunc
	told         bool
	followers    int
	by           map[string][]*follower // by what they follow
	lengths      []int                  // of these, each once, the shortest first
}

// follower is one who follows what begins with prefix, and what he has not heard yet.
type follower struct {
	prefix  string
	next    []kv.Event // of the update that is being told
	updates []kv.Update
	waiting int           // events in updates
	behind  bool          // there were too many
	more    chan struct{} // has one where there is something to hear
}

// Follow tells of every change of records whose keys begin with prefix, from now on, as Watch of a kv.Store does. The
// others that follow hear as fast as they can, however slow tell is.
func (w *Watch) Follow(ctx context.Context, prefix string, tell func(kv.Update)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f := &follower{prefix: prefix, more: make(chan struct{}, 1)}
	s := w.join(f)
	defer w.leave(s, f)
	ended := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.err
	}
	select {
	case <-s.begun:
	case <-s.ended:
		return ended()
	case <-ctx.Done():
		return ctx.Err()
	}
	// From here on all is told. What had returned by now is not, though the watch may yet come to it.
	known := time.Now()
	from, err := w.revision(ctx)
	if err != nil {
		return err
	}
	tell(kv.Update{Rev: from, Known: known})
	for {
		select {
		case <-f.more:
		case <-s.ended:
			return ended()
		case <-ctx.Done():
			return ctx.Err()
		}
		updates, behind := w.take(f)
		for _, u := range updates {
			if u.Rev < from {
				continue
			}
			u.Events = slices.DeleteFunc(u.Events, func(e kv.Event) bool { return e.Rev <= from })
			if u.Known.Before(known) {
				u.Known = time.Time{}
			} else {
				known = u.Known
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tell(u)
		}
		if behind {
			return kv.ErrLagging
		}
	}
}

// join adds who follows to the watch, and begins it where there is none.
func (w *Watch) join(f *follower) *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.now
	if s == nil {
		running, end := context.WithCancel(context.Background())
		s = &stream{begun: make(chan struct{}), ended: make(chan struct{}), end: end, by: make(map[string][]*follower)}
		w.now = s
		go func() {
			err := w.watch(running, func(u kv.Update) { w.tell(s, u) })
			end()
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.now == s {
				w.now = nil
			}
			s.err = err
			close(s.ended)
		}()
	}
	s.followers++
	s.by[f.prefix] = append(s.by[f.prefix], f)
	if at, there := slices.BinarySearch(s.lengths, len(f.prefix)); !there {
		s.lengths = slices.Insert(s.lengths, at, len(f.prefix))
	}
	return s
}

// leave takes out who follows. The last one ends the watch.
func (w *Watch) leave(s *stream, f *follower) {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := slices.DeleteFunc(s.by[f.prefix], func(other *follower) bool { return other == f })
	if len(left) > 0 {
		s.by[f.prefix] = left
	} else {
		delete(s.by, f.prefix)
	}
	if s.followers--; s.followers == 0 {
		s.end()
		if w.now == s {
			w.now = nil
		}
	}
}

// tell has those hear of an update whom it concerns, and all of them up to where and when everything is known.
func (w *Watch) tell(s *stream, u kv.Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.told {
		s.told = true
		close(s.begun)
	}
	var concerned []*follower
	for _, e := range u.Events {
		others := false
		for _, n := range s.lengths {
			if n > len(e.Key) {
				break
			}
			for _, f := range s.by[e.Key[:n]] {
				if others { // what one is told is his
					e.Value = bytes.Clone(e.Value)
				}
				others = true
				if len(f.next) == 0 {
					concerned = append(concerned, f)
				}
				f.next = append(f.next, e)
			}
		}
	}
	for _, f := range concerned {
		f.hear(kv.Update{Events: f.next, Rev: u.Rev})
		f.next = nil
	}
	if u.Known.IsZero() && len(u.Events) > 0 {
		return
	}
	for _, all := range s.by {
		for _, f := range all {
			f.hear(kv.Update{Rev: u.Rev, Known: u.Known})
		}
	}
}

// hear has an update wait until it is taken.
func (f *follower) hear(u kv.Update) {
	if f.behind {
		return
	}
	n := len(f.updates)
	if n > 0 && len(u.Events) == 0 && len(f.updates[n-1].Events) == 0 {
		if u.Known.IsZero() {
			u.Known = f.updates[n-1].Known
		}
		f.updates[n-1] = u
	} else {
		f.updates = append(f.updates, u)
		f.waiting += len(u.Events)
	}
	if f.waiting > mostWaiting {
		f.behind, f.updates = true, nil
	}
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take gives what waits, and whether that is not all.
func (w *Watch) take(f *follower) (updates []kv.Update, behind bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	updates, f.updates, f.waiting = f.updates, nil, 0
	return updates, f.behind
}
