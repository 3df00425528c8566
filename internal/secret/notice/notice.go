// Package notice tells many callers of changes of an organisation's secrets. Each organisation that somebody watches is
// looked at once, however many watch it: where the store tells of changes, at each of them, and else at an interval.
package notice

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// The bounds on watchers, of all and of one caller.
const (
	MaxWatchers  = 20_000
	MaxPerCaller = 1_000
)

const (
	// rest is how long changes are let gather after a look, so that many changes in a row are few looks.
	rest = 50 * time.Millisecond
	// lookTime bounds one look.
	lookTime = 20 * time.Second
	// retry is how long to wait after an error, and half of it at random on top.
	retry = time.Second
)

// Config is what a hub needs. Look must be set.
type Config[T any] struct {
	// Look reads what there is of an organisation now.
	Look func(ctx context.Context, org id.ID) (T, error)
	// Changes calls tell once at its start and then soon after each change, until ctx or what it listens to ends. It is
	// nil where nothing tells of changes.
	Changes func(ctx context.Context, org id.ID, tell func()) error
	// Every is the interval at which to look where Changes is nil.
	Every time.Duration
}

// Hub is the place where watchers meet. Make it with New.
type Hub[T any] struct {
	Config[T]
	ended chan struct{}
	end   func() // closes it, once

	mu      sync.Mutex
	topics  map[id.ID]*topic[T]
	callers map[string]int
	count   int
	none    chan struct{} // closed when nobody watches any more; nil where nobody waits for that
}

// topic is an organisation that is watched.
type topic[T any] struct {
	members int
	stop    context.CancelFunc
	tells   map[*Member[T]]func() // of the hub's mutex

	// Of the hub's mutex:
	seen    bool // there is a state, or an error in its place
	state   T
	err     error
	changed chan struct{} // closed when there is another state
}

// New makes a hub.
func New[T any](c Config[T]) *Hub[T] {
	ended := make(chan struct{})
	h := &Hub[T]{Config: c, ended: ended, topics: make(map[id.ID]*topic[T]), callers: make(map[string]int)}
	h.end = sync.OnceFunc(func() {
		close(ended)
		h.mu.Lock()
		var all []func()
		for _, t := range h.topics {
			all = slices.AppendSeq(all, maps.Values(t.tells))
		}
		h.mu.Unlock()
		for _, tell := range all {
			tell()
		}
	})
	return h
}

// End ends every watch, for good. A second call does nothing.
func (h *Hub[T]) End() { h.end() }

// Wait waits until nobody watches any more, or ctx ends.
func (h *Hub[T]) Wait(ctx context.Context) {
	h.mu.Lock()
	if h.count == 0 {
		h.mu.Unlock()
		return
	}
	if h.none == nil {
		h.none = make(chan struct{})
	}
	none := h.none
	h.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}

// Ended is closed when the server ends, and with it every watch.
func (h *Hub[T]) Ended() <-chan struct{} { return h.ended }

// Member is one watcher of an organisation.
type Member[T any] struct {
	hub   *Hub[T]
	topic *topic[T]
	leave func()
	gone  bool // of the hub's mutex
}

// Join begins to watch the organisation, for a caller. It gives errs.TooManyRequests where there are too many watchers.
func (h *Hub[T]) Join(org id.ID, caller string) (*Member[T], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count >= MaxWatchers || h.callers[caller] >= MaxPerCaller {
		return nil, errs.New(errs.TooManyRequests, "too many requests wait for changes: at most %d of one token, and "+
			"%d of all; have one watcher for several programs, or ask at an interval", MaxPerCaller, MaxWatchers)
	}
	t := h.topics[org]
	if t == nil {
		ctx, stop := context.WithCancel(context.Background())
		t = &topic[T]{stop: stop, changed: make(chan struct{}), tells: make(map[*Member[T]]func())}
		h.topics[org] = t
		go h.follow(ctx, org, t)
	}
	t.members++
	h.callers[caller]++
	h.count++
	m := &Member[T]{hub: h, topic: t}
	m.leave = sync.OnceFunc(func() { h.left(org, m, caller) })
	return m, nil
}

func (h *Hub[T]) left(org id.ID, m *Member[T], caller string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := m.topic
	m.gone = true
	delete(t.tells, m)
	if h.count--; h.count == 0 && h.none != nil {
		close(h.none)
		h.none = nil
	}
	if h.callers[caller]--; h.callers[caller] == 0 {
		delete(h.callers, caller)
	}
	if t.members--; t.members == 0 {
		t.stop()
		delete(h.topics, org)
	}
}

// Leave ends the watch.
func (m *Member[T]) Leave() { m.leave() }

// Tell has f called after each change of the state, and when the server ends, until the member leaves. It is called at
// once, too, where since is closed already, or the server has ended. It must wait for nothing. A member that has left
// is told nothing.
func (m *Member[T]) Tell(since <-chan struct{}, f func()) {
	m.hub.mu.Lock()
	gone := m.gone
	if !gone {
		m.topic.tells[m] = f
	}
	m.hub.mu.Unlock()
	if gone {
		return
	}
	select {
	case <-since:
		f()
	case <-m.hub.ended:
		f()
	default:
	}
}

// State is what there is, or the error of the last look where there has been no other; changed is closed when that is
// no longer so. Known is false as long as nothing has been looked at.
func (m *Member[T]) State() (state T, known bool, changed <-chan struct{}, err error) {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	return m.topic.state, m.topic.seen, m.topic.changed, m.topic.err
}

// follow looks at an organisation as long as it is watched.
func (h *Hub[T]) follow(ctx context.Context, org id.ID, t *topic[T]) {
	told := make(chan struct{}, 1)
	tell := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	go h.listen(ctx, org, tell)
	for {
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
		if !h.look(ctx, org, t) {
			sleep(ctx, retry+rand.N(retry/2))
			tell()
		}
		sleep(ctx, rest)
	}
}

// listen tells of changes, or that it is time to look.
func (h *Hub[T]) listen(ctx context.Context, org id.ID, tell func()) {
	for ctx.Err() == nil {
		tell()
		if h.Changes == nil {
			sleep(ctx, h.Every)
			continue
		}
		_ = h.Changes(ctx, org, tell) // whatever ended it, what it did not tell of is looked at
		sleep(ctx, retry+rand.N(retry/2))
	}
}

// look reads what there is. An organisation that is no more ends its watches; any other error leaves what was known.
func (h *Hub[T]) look(ctx context.Context, org id.ID, t *topic[T]) bool {
	bound, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	state, err := h.safely(bound, org)
	if ctx.Err() != nil {
		return true
	}
	for _, tell := range h.become(t, state, err) {
		tell()
	}
	return err == nil
}

// become takes over what a look has shown, and gives whom to tell.
func (h *Hub[T]) become(t *topic[T], state T, err error) []func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil && t.seen && t.err == nil && !errs.Is(err, errs.NotFound) {
		return nil
	}
	t.seen, t.err = true, err
	if err == nil {
		t.state = state
	}
	close(t.changed)
	t.changed = make(chan struct{})
	return slices.Collect(maps.Values(t.tells))
}

// safely looks, and takes a panic for an error: there is no request that it would be the end of.
func (h *Hub[T]) safely(ctx context.Context, org id.ID) (state T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a look at the secrets panicked: %v", p)
		}
	}()
	return h.Look(ctx, org)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
