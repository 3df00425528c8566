package near_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/kv/near"
)

// engine is a real one whose watches can be held back, ended, and begun no more.
type engine struct {
	kv.Store
	mu      sync.Mutex
	held    chan struct{} // while it is not nil, watches tell nothing until it is closed
	refused error
	ends    []context.CancelCauseFunc
}

func open(t *testing.T) *engine {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &engine{Store: db}
}

func (e *engine) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	watching, end := context.WithCancelCause(ctx)
	defer end(nil)
	e.mu.Lock()
	refused := e.refused
	e.ends = append(e.ends, end)
	e.mu.Unlock()
	if refused != nil {
		return refused
	}
	err := e.Store.Watch(watching, prefix, after, func(u kv.Update) {
		e.mu.Lock()
		held := e.held
		e.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-watching.Done():
				return
			}
		}
		tell(u)
	})
	if cause := context.Cause(watching); cause != nil && ctx.Err() == nil {
		return cause
	}
	return err
}

// hold has watches tell nothing until the function that it returns is called.
func (e *engine) hold() (release func()) {
	held := make(chan struct{})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = held
	return func() {
		e.mu.Lock()
		e.held = nil
		e.mu.Unlock()
		close(held)
	}
}

// breaks ends all watches with the error, and refuses others until it is nil.
func (e *engine) breaks(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = err
	for _, end := range e.ends {
		end(kv.ErrLagging)
	}
	e.ends = nil
}

// follow makes a memory before the engine, and waits for its watch.
func follow(t *testing.T, e kv.Store, limit int) *near.Store {
	t.Helper()
	s := near.New(e, near.Config{Prefixes: []string{"a/", "b/"}, Limit: limit, Largest: 1000})
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { s.Follow(ctx, func(error) {}) })
	t.Cleanup(func() { stop(); following.Wait() })
	until(t, "there is no watch", func() bool { return s.Fresh(time.Hour) })
	return s
}

func until(t *testing.T, wrong string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(wrong)
		}
	}
}

func put(t *testing.T, s kv.Store, key, value string, conds ...kv.Cond) int64 {
	t.Helper()
	rev, err := s.Txn(t.Context(), conds, []kv.Op{kv.Put(key, []byte(value))})
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func get(t *testing.T, s kv.Store, key, want string) kv.Record {
	t.Helper()
	rec, err := s.Get(t.Context(), key)
	if err != nil || string(rec.Value) != want {
		t.Fatalf("the engine has %s=%q, want %q: %v", key, rec.Value, want, err)
	}
	return rec
}

func knows(s *near.Store, key, want string) bool {
	rec, known := s.Recall(key)
	return known && string(rec.Value) == want
}

// TestNothingWithoutWatch has no watch: everything is asked for.
func TestNothingWithoutWatch(t *testing.T) {
	e := open(t)
	s := near.New(e, near.Config{Prefixes: []string{"a/"}, Limit: 1 << 20, Largest: 1000})
	put(t, s, "a/k", "1")
	get(t, s, "a/k", "1")
	if _, known := s.Recall("a/k"); known || s.Fresh(time.Hour) {
		t.Error("it knows something without a watch")
	}
}

// TestBrokenWatch ends the watch: nothing is known from then on until there is another, and what was changed meanwhile
// is known as it is.
func TestBrokenWatch(t *testing.T) {
	e := open(t)
	s := follow(t, e, 1<<20)
	put(t, s, "a/k", "1")
	get(t, s, "a/k", "1")
	until(t, "what was read is not known", func() bool { return knows(s, "a/k", "1") })
	e.breaks(kv.ErrUnavailable)
	until(t, "it knows something without a watch", func() bool {
		_, known := s.Recall("a/k")
		return !known && !s.Fresh(time.Hour)
	})
	put(t, e, "a/k", "2")
	get(t, s, "a/k", "2")
	if _, known := s.Recall("a/k"); known {
		t.Error("it keeps without a watch what is read")
	}
	e.breaks(nil)
	until(t, "what is there is not known again", func() bool { get(t, s, "a/k", "2"); return knows(s, "a/k", "2") })
}

// TestBehind holds the watch back while another server changes things.
func TestBehind(t *testing.T) {
	e := open(t)
	s := follow(t, e, 1<<20)
	put(t, e, "a/k", "1")
	put(t, e, "b/k", "1")
	until(t, "what was read is not known", func() bool {
		get(t, s, "a/k", "1")
		get(t, s, "b/k", "1")
		return knows(s, "a/k", "1") && knows(s, "b/k", "1")
	})
	release := e.hold()
	put(t, e, "b/k", "2") // by another
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Missing("b/k")}, []kv.Op{kv.Put("a/x", nil)}); !errors.Is(err,
		kv.ErrConflict) {
		t.Fatal(err)
	}
	if _, known := s.Recall("b/k"); known {
		t.Error("what a condition was wrong about is still known")
	}
	get(t, s, "b/k", "2")
	if _, known := s.Recall("b/k"); known {
		t.Error("a record is known that is newer than what the watch has told")
	}
	// Its own change without a guard is newer than what may have been changed beside it.
	put(t, s, "a/k", "2")
	if _, known := s.Recall("a/k"); known {
		t.Error("an unguarded change is known before the watch tells of it")
	}
	if s.Fresh(time.Nanosecond) || s.Fresh(0) {
		t.Error("it says that it is fresh while the engine says nothing")
	}
	release()
	until(t, "what the watch has told is not known", func() bool { return knows(s, "a/k", "2") && knows(s, "b/k", "2") })
}

// TestGuarded changes records under the condition that their guard is what memory knows: the change is known at once,
// also where a change of another was read before, but not where memory did not know of it.
func TestGuarded(t *testing.T) {
	e := open(t)
	s := follow(t, e, 1<<20)
	put(t, e, "a/head", "1")
	until(t, "what was read is not known", func() bool { get(t, s, "a/head", "1"); return knows(s, "a/head", "1") })
	release := e.hold()
	defer release()
	change := func(head kv.Record, value string) {
		t.Helper()
		if _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(head)}, []kv.Op{kv.Put("a/head", []byte(value)),
			kv.Put("a/k", []byte(value)), kv.Put("a/large", []byte(strings.Repeat(value, 2000))),
			kv.Delete("a/gone")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, value := range []string{"2", "3"} {
		head, _ := s.Recall("a/head")
		change(head, value)
		if !knows(s, "a/head", value) || !knows(s, "a/k", value) {
			t.Error("its own change is not known")
		}
		if _, known := s.Recall("a/large"); known {
			t.Error("what is too large is kept")
		}
	}
	put(t, e, "a/head", "4") // by another
	change(get(t, s, "a/head", "4"), "5")
	if _, known := s.Recall("a/head"); known {
		t.Error("a change is known that is made upon one of another's that memory knew nothing of")
	}
}

// TestBounds fills it beyond its limit.
func TestBounds(t *testing.T) {
	e := open(t)
	s := follow(t, e, 4000)
	known := 0
	for i := range 100 {
		put(t, e, fmt.Sprintf("a/%03d", i), "x")
		put(t, e, fmt.Sprintf("other/%03d", i), "x")
	}
	for i := range 100 {
		get(t, s, fmt.Sprintf("a/%03d", i), "x")
		get(t, s, fmt.Sprintf("other/%03d", i), "x")
		if _, known := s.Recall(fmt.Sprintf("other/%03d", i)); known {
			t.Fatal("it keeps what it was not told to")
		}
	}
	for i := range 100 {
		if _, in := s.Recall(fmt.Sprintf("a/%03d", i)); in {
			known++
		}
	}
	if known == 0 || known > 25 {
		t.Errorf("it knows %d records of some 165 bytes, and may keep 4000 bytes", known)
	}
}

// TestOneRevision has writers at two servers change records that always say the same, with their guard, while readers
// recall them: what they recall between two looks at the guard is never of two changes, no acknowledged change of a
// server is unknown to itself, and memory comes to what is there.
func TestOneRevision(t *testing.T) {
	e := open(t)
	servers := []*near.Store{follow(t, e, 1<<20), follow(t, e, 1<<20)}
	const records = 5
	key := func(i int) string { return fmt.Sprintf("a/%d", i) }
	ctx, stop := context.WithCancel(t.Context())
	var all, writers sync.WaitGroup
	var done [2]int
	for n, s := range servers {
		writers.Go(func() { // a writer, whose plans are made from memory
			for i := 0; i < 100; i++ {
				head, known := s.Recall("a/head")
				if !known {
					var err error
					if head, err = s.Get(t.Context(), "a/head"); err != nil && !errors.Is(err, kv.ErrNotFound) {
						t.Error(err)
						return
					}
				}
				value := fmt.Appendf(nil, "%d-%d", n, i)
				ops := []kv.Op{kv.Put("a/head", value)}
				for k := range records {
					ops = append(ops, kv.Put(key(k), value))
				}
				rev, err := s.Txn(t.Context(), []kv.Cond{{Key: "a/head", Rev: head.Rev}}, ops)
				if errors.Is(err, kv.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				done[n]++
				if rec, known := s.Recall("a/head"); known && rec.Rev < rev {
					t.Errorf("after revision %d was put, %d is recalled", rev, rec.Rev)
				}
			}
		})
		for range 2 {
			all.Go(func() { // a reader, who has what is not known brought in
				seen := int64(0)
				for ctx.Err() == nil {
					before, ok := s.Recall("a/head")
					var got []string
					for k := range records {
						rec, known := s.Recall(key(k))
						if !known {
							ok = false
							if rand.IntN(2) == 0 {
								_, _ = s.Get(ctx, key(k))
							} else {
								_, _ = s.List(ctx, "a/", "", 10)
							}
						}
						got = append(got, string(rec.Value))
					}
					after, still := s.Recall("a/head")
					if !ok || !still || before.Rev != after.Rev {
						continue
					}
					if before.Rev < seen {
						t.Errorf("memory has gone back from revision %d to %d", seen, before.Rev)
					}
					seen = before.Rev
					for _, value := range got {
						if value != string(before.Value) {
							t.Errorf("of one moment are %q and %v", before.Value, got)
							return
						}
					}
				}
			})
		}
	}
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			release := e.hold()
			time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
			release()
			if i%5 == 4 {
				e.breaks(nil)
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	writers.Wait()
	stop()
	all.Wait()
	if done[0] == 0 || done[1] == 0 {
		t.Errorf("of the changes %v were made", done)
	}
	last, err := e.Get(t.Context(), "a/head")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		until(t, "memory does not come to what is there", func() bool {
			get(t, s, "a/head", string(last.Value))
			return knows(s, "a/head", string(last.Value))
		})
	}
}

// TestConforms asks of it all that is asked of an engine.
func TestConforms(t *testing.T) {
	kvtest.Test(t, func(t *testing.T) kv.Store {
		e := open(t)
		s := near.New(e, near.Config{Prefixes: []string{""}, Limit: 1 << 20, Largest: 1000})
		ctx, stop := context.WithCancel(t.Context())
		var following sync.WaitGroup
		following.Go(func() { s.Follow(ctx, func(error) {}) })
		t.Cleanup(func() { stop(); following.Wait() })
		return s
	})
}
