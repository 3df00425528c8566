package kvtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/kv"
)

// seen collects what a watch tells.
type seen struct {
	mu      sync.Mutex
	updates []kv.Update
	more    chan struct{} // has one where something may be new
	ended   chan error
	stop    func()
}

// watch begins one, and waits for its first update.
func watch(t *testing.T, s kv.Store, prefix string, after int64) *seen {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &seen{more: make(chan struct{}, 1), ended: make(chan error, 1), stop: cancel}
	t.Cleanup(cancel)
	go func() {
		w.ended <- s.Watch(ctx, prefix, after, func(u kv.Update) {
			w.mu.Lock()
			w.updates = append(w.updates, u)
			w.mu.Unlock()
			select {
			case w.more <- struct{}{}:
			default:
			}
		})
	}()
	w.until(t, func(us []kv.Update) bool { return len(us) > 0 })
	return w
}

// until waits until what was told is enough.
func (w *seen) until(t *testing.T, enough func([]kv.Update) bool) []kv.Update {
	t.Helper()
	for {
		w.mu.Lock()
		us := w.updates
		w.mu.Unlock()
		if enough(us) {
			return us
		}
		select {
		case <-w.more:
		case err := <-w.ended:
			t.Fatalf("the watch ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("the watch told too little")
		}
	}
}

// events waits for so many, and gives them as texts.
func (w *seen) events(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	w.until(t, func(us []kv.Update) bool {
		out = out[:0]
		for _, u := range us {
			for _, e := range u.Events {
				text := fmt.Sprintf("%s=%s", e.Key, e.Value)
				if e.Deleted {
					text = "-" + e.Key
				}
				out = append(out, text)
			}
		}
		return len(out) >= n
	})
	return out
}

func testWatchEnds(t *testing.T, s kv.Store) {
	if err := s.Watch(ended(t), "", 0, func(kv.Update) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	w := watch(t, s, "", 0)
	w.stop()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended by its context: %v", err)
	}
	w = watch(t, s, "", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-w.ended; !errors.Is(err, kv.ErrClosed) {
		t.Errorf("ended by the store: %v", err)
	}
	if err := s.Watch(t.Context(), "", 0, func(kv.Update) {}); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

func testWatch(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("w/before", "0"))
	w := watch(t, s, "w/", 0)
	if us := w.until(t, func(us []kv.Update) bool { return true }); len(us[0].Events) > 0 || us[0].Rev < 1 {
		t.Errorf("the first update is %+v", us[0])
	}
	txn(t, s, nil, put("w/a", "1"), put("other", "x"), kv.Delete("w/missing"))
	txn(t, s, nil, put("w/a", "2"), put("w/b", "1"))
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Missing("w/a")}, []kv.Op{put("w/refused", "1")}); !errors.Is(err,
		kv.ErrConflict) {
		t.Fatal(err)
	}
	txn(t, s, nil, kv.Delete("w/a"))
	txn(t, s, nil, kv.DeletePrefix("w/"))
	last := txn(t, s, nil, put("w/end", "1"))
	returned := time.Now()
	want := []string{"w/a=1", "w/a=2", "w/b=1", "-w/a", "-w/b", "-w/before", "w/end=1"}
	if diff := cmp.Diff(want, w.events(t, len(want))); diff != "" {
		t.Errorf("what the watch told (-want +got):\n%s", diff)
	}
	// It tells, by and by, of being alive at the last revision, and never goes back.
	w.until(t, func(us []kv.Update) bool { return us[len(us)-1].Rev >= last && len(us[len(us)-1].Events) == 0 })
	us := w.until(t, func(us []kv.Update) bool { return us[len(us)-1].Known.After(returned) })
	if us[len(us)-1].Rev < last {
		t.Errorf("at revision %d it says that it has told of what returned with revision %d", us[len(us)-1].Rev, last)
	}
	for i := range us[1:] {
		if us[i+1].Rev < us[i].Rev {
			t.Errorf("an update at revision %d came after one at %d", us[i+1].Rev, us[i].Rev)
		}
		for _, e := range us[i+1].Events {
			if e.Rev <= us[i].Rev || e.Rev > us[i+1].Rev {
				t.Errorf("an event of revision %d is told in an update up to %d, after one up to %d", e.Rev,
					us[i+1].Rev, us[i].Rev)
			}
		}
	}
}

// testWatchCounts has many writers beside a watch, which must tell of each change once and in order.
func testWatchCounts(t *testing.T, s kv.Store) {
	w := watch(t, s, "n/", 0)
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				if _, err := s.Txn(t.Context(), nil, []kv.Op{put(fmt.Sprintf("n/%d", i), fmt.Sprint(n))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return // what was not written is never told
	}
	next := make(map[byte]int)
	for _, e := range w.events(t, writers*each) {
		if want := fmt.Sprintf("n/%c=%d", e[2], next[e[2]]); e != want {
			t.Fatalf("told of %s, want %s", e, want)
		}
		next[e[2]]++
	}
}

func testHold(t *testing.T, s kv.Store) {
	if _, _, err := s.Hold(ended(t), "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	held, release, err := s.Hold(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := s.Hold(t.Context(), "b") // another name is no concern of it
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, _, err := s.Hold(ctx, "a")
		waiting <- err
	}()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is given up: %v", err)
	}
	if held.Err() != nil {
		t.Error("the hold is lost while nobody has it")
	}
	release()
	release()
	if held.Err() == nil {
		t.Error("what is held goes on after it was let go of")
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, release, err := s.Hold(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			defer release()
			if !mu.TryLock() {
				t.Error("two hold one name")
				return
			}
			mu.Unlock()
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Hold(t.Context(), "a"); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
