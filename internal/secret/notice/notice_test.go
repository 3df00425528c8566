package notice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// However many watch, each change is looked at once; an error leaves what was known; the last to leave ends it.
func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		value, looks, failing := "first", 0, error(nil)
		become := func(v string, err error) {
			mu.Lock()
			defer mu.Unlock()
			value, failing = v, err
		}
		changes := make(chan struct{})
		var listeners atomic.Int32
		h := New(Config[string]{
			Look: func(context.Context, id.ID) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				looks++
				return value, failing
			},
			Changes: func(ctx context.Context, _ id.ID, tell func()) error {
				listeners.Add(1)
				defer listeners.Add(-1)
				for {
					select {
					case <-changes:
						tell()
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			},
		})
		var members []*Member[string]
		for range 100 {
			m, err := h.Join(1, "one")
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, m)
		}
		see := func(want string) <-chan struct{} {
			t.Helper()
			time.Sleep(10 * time.Second)
			var changed <-chan struct{}
			for _, m := range members {
				got, known, next, err := m.State()
				if got != want || !known || err != nil {
					t.Fatalf("a watcher sees %q, %v, %v; want %q", got, known, err, want)
				}
				changed = next
			}
			return changed
		}
		changed := see("first")
		become("second", nil)
		mu.Lock()
		before := looks
		mu.Unlock()
		changes <- struct{}{}
		<-changed
		changed = see("second")
		mu.Lock()
		if looks != before+1 {
			t.Errorf("%d looks at one change", looks-before)
		}
		mu.Unlock()
		become("second", errors.New("away"))
		changes <- struct{}{}
		see("second")
		become("third", nil)
		<-changed
		changed = see("third")
		become("", errs.New(errs.NotFound, "organization not found"))
		changes <- struct{}{}
		<-changed
		if _, _, _, err := members[0].State(); !errs.Is(err, errs.NotFound) {
			t.Errorf("of an organisation that is gone: %v", err)
		}
		for _, m := range members {
			m.Leave()
			m.Leave()
		}
		synctest.Wait()
		if watchers(h) != 0 || listeners.Load() != 0 || len(h.topics)+len(h.callers) != 0 {
			t.Errorf("%d watchers, %d listeners, %d topics, %d callers are left", watchers(h), listeners.Load(),
				len(h.topics), len(h.callers))
		}
	})
}

// One caller has a share, and all have an end.
func TestBounds(t *testing.T) {
	h := New(Config[int]{Look: func(context.Context, id.ID) (int, error) { return 0, nil }, Every: time.Hour})
	var members []*Member[int]
	join := func(caller string, want bool) {
		t.Helper()
		m, err := h.Join(1, caller)
		if ok := err == nil; ok != want || !ok && !errs.Is(err, errs.TooManyRequests) {
			t.Fatalf("%s with %d watchers: %v", caller, watchers(h), err)
		}
		if m != nil {
			members = append(members, m)
		}
	}
	for n := range MaxWatchers {
		join(fmt.Sprint(n/MaxPerCaller), true)
		if n == MaxPerCaller-1 {
			join("0", false)
		}
	}
	join("another", false)
	for _, m := range members {
		m.Leave()
	}
	join("another", true)
	members[len(members)-1].Leave()
}

// watchers counts them.
func watchers[T any](h *Hub[T]) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// TestTellAfterLeaving has a watcher leave before it says whom to tell: nothing of it is kept.
func TestTellAfterLeaving(t *testing.T) {
	h := New(Config[string]{Look: func(context.Context, id.ID) (string, error) { return "", nil }, Every: time.Hour})
	stays, err := h.Join(1, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Leave()
	m, err := h.Join(1, "one")
	if err != nil {
		t.Fatal(err)
	}
	m.Leave()
	since := make(chan struct{})
	close(since)
	m.Tell(since, func() { t.Error("who has left is told") })
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.topics[1].tells); n != 0 {
		t.Errorf("%d are told of changes", n)
	}
}
