package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
)

// store is a server whose watches are all told by one.
type store struct {
	kv.Store
	one     *Watch
	watches atomic.Int64 // that the engine has at the moment
}

func over(engine kv.Store) *store {
	s := &store{Store: engine}
	s.one = New(func(ctx context.Context, tell func(kv.Update)) error {
		s.watches.Add(1)
		defer s.watches.Add(-1)
		return engine.Watch(ctx, "", 0, tell)
	}, func(ctx context.Context) (int64, error) {
		return engine.Txn(ctx, nil, []kv.Op{kv.Delete("nothing")})
	})
	return s
}

func (s *store) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	if after > 0 {
		return s.Store.Watch(ctx, prefix, after, tell)
	}
	return s.one.Follow(ctx, prefix, tell)
}

func TestSuite(t *testing.T) {
	kvtest.Test(t, func(*testing.T) kv.Store { return over(clustertest.New().Server()) })
}

// heard is who follows a prefix, and what he has been told.
type heard struct {
	mu     sync.Mutex
	events []string
	last   kv.Update
	more   chan struct{}
	err    chan error
	stop   context.CancelFunc
}

func follow(t *testing.T, s *store, prefix string) *heard {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	h := &heard{more: make(chan struct{}, 1), err: make(chan error, 1), stop: cancel}
	begun := make(chan struct{})
	go func() {
		first := true
		h.err <- s.Watch(ctx, prefix, 0, func(u kv.Update) {
			h.mu.Lock()
			for _, e := range u.Events {
				h.events = append(h.events, fmt.Sprintf("%s=%s", e.Key, e.Value))
				for i := range e.Value { // it is his
					e.Value[i] = 'x'
				}
			}
			h.last = u
			h.mu.Unlock()
			if first {
				close(begun)
				first = false
			}
			select {
			case h.more <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-begun:
	case err := <-h.err:
		t.Fatal(err)
	}
	return h
}

// until waits until all is told up to the revision, and gives the events.
func (h *heard) until(t *testing.T, rev int64) []string {
	t.Helper()
	for {
		h.mu.Lock()
		events, last := slices.Clone(h.events), h.last
		h.mu.Unlock()
		if last.Rev >= rev {
			return events
		}
		select {
		case <-h.more:
		case err := <-h.err:
			t.Fatal(err)
		}
	}
}

func txn(t *testing.T, s kv.Store, ops ...kv.Op) int64 {
	t.Helper()
	rev, err := s.Txn(t.Context(), nil, ops)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// TestFollowers has several follow by one watch: each hears of what concerns him, whatever the others do with it, and up
// to when everything is known.
func TestFollowers(t *testing.T) {
	s := over(clustertest.New().Server())
	txn(t, s, kv.Put("a/before", []byte("1")))
	all, a, ab, other := follow(t, s, ""), follow(t, s, "a/"), follow(t, s, "a/b"), follow(t, s, "z/")
	txn(t, s, kv.Put("a/a", []byte("1")), kv.Put("a/b", []byte("2")), kv.Put("c", []byte("3")))
	rev := txn(t, s, kv.Put("a", []byte("4")))
	for what, c := range map[string]struct {
		h    *heard
		want []string
	}{
		"all": {all, []string{"a/a=1", "a/b=2", "c=3", "a=4"}}, "a/": {a, []string{"a/a=1", "a/b=2"}},
		"a/b": {ab, []string{"a/b=2"}}, "z/": {other, nil},
	} {
		if got := c.h.until(t, rev); !slices.Equal(got, c.want) {
			t.Errorf("who follows %q heard %q, want %q", what, got, c.want)
		}
	}
	if n := s.watches.Load(); n != 1 {
		t.Errorf("the engine has %d watches", n)
	}
	late := follow(t, s, "a/")
	rev = txn(t, s, kv.Put("a/late", []byte("5")))
	if got := late.until(t, rev); !slices.Equal(got, []string{"a/late=5"}) {
		t.Errorf("who came later heard %q", got)
	}
	for _, h := range []*heard{all, a, ab, other, late} {
		h.stop()
		if err := <-h.err; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for s.watches.Load() > 0 && t.Context().Err() == nil { // the last one has ended it
	}
	again := follow(t, s, "a/")
	rev = txn(t, s, kv.Put("a/again", []byte("6")))
	if got := again.until(t, rev); !slices.Equal(got, []string{"a/again=6"}) {
		t.Errorf("who came when all had left heard %q", got)
	}
}

// TestBroken breaks the one watch: all who follow hear why, and those who come later follow another.
func TestBroken(t *testing.T) {
	server := clustertest.New().Server()
	s := over(server)
	followers := []*heard{follow(t, s, "a/"), follow(t, s, "b/")}
	server.BreakWatches(kv.ErrLagging)
	for _, h := range followers {
		if err := <-h.err; !errors.Is(err, kv.ErrLagging) {
			t.Errorf("it ended with %v", err)
		}
	}
	if err := s.Watch(t.Context(), "a/", 0, func(kv.Update) { t.Error("it tells") }); !errors.Is(err, kv.ErrLagging) {
		t.Errorf("while watches end: %v", err)
	}
	server.BreakWatches(nil)
	h := follow(t, s, "a/")
	rev := txn(t, s, kv.Put("a/1", []byte("1")))
	if got := h.until(t, rev); !slices.Equal(got, []string{"a/1=1"}) {
		t.Errorf("it tells %q", got)
	}
	server.Cut()
	if err := <-h.err; !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("cut off: %v", err)
	}
}

// TestSlowFollower has one stand still while there is more to hear than is kept for him: he is told that he is behind,
// and the others hear all.
func TestSlowFollower(t *testing.T) {
	s := over(clustertest.New().Server())
	stands, goOn := make(chan struct{}), make(chan struct{})
	slow := make(chan error, 1)
	go func() {
		first := true
		slow <- s.Watch(t.Context(), "", 0, func(kv.Update) {
			if first {
				first = false
				close(stands)
				<-goOn
			}
		})
	}()
	<-stands
	other := follow(t, s, "a/")
	rev := int64(0)
	for n := 0; n <= mostWaiting; n += kv.MaxOps {
		ops := make([]kv.Op, kv.MaxOps)
		for i := range ops {
			ops[i] = kv.Put(fmt.Sprintf("a/%d", i), nil)
		}
		rev = txn(t, s, ops...)
	}
	if got := other.until(t, rev); len(got) <= mostWaiting {
		t.Errorf("the other heard of %d", len(got))
	}
	close(goOn)
	if err := <-slow; !errors.Is(err, kv.ErrLagging) {
		t.Errorf("the slow one: %v", err)
	}
}
