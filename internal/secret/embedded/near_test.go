package embedded

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/near"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/secrettest"
)

// remembering puts a memory before the store's engine, followed from now on.
func remembering(t testing.TB, s *Store, db kv.Store, stale time.Duration) {
	t.Helper()
	n := near.New(kv.Settled(db), near.Config{Prefixes: []string{records.Root, "org/"}, Limit: 16 << 20,
		Largest: 256 << 10})
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { n.Follow(ctx, func(error) {}) })
	t.Cleanup(func() { stop(); following.Wait() })
	for !n.Fresh(time.Hour) && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	s.kv, s.log = n, commitlog.New(n, nil, s.ring)
	s.near, s.stale, s.far = n, stale, true
}

// TestSuiteNear has the records in memory, and believes them: what a server has changed itself it sees at once. Two
// servers plan from memory, and ask for what they give out.
func TestSuiteNear(t *testing.T) {
	t.Parallel()
	secrettest.Test(t, func(t *testing.T) secret.Store {
		db := openKV(t)
		s := newStore(t, db, keyFile(t))
		inSeal.begin(t, s)
		remembering(t, s, db, time.Hour)
		return s
	})
	secrettest.TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
		db, key := openKV(t), keyFile(t)
		s := newStore(t, db, key)
		beingRotated.begin(t, s)
		other := newStore(t, db, key)
		remembering(t, s, db, 0)
		remembering(t, other, db, 0)
		return s, other
	})
}

// heldBack is an engine whose watches tell nothing more from a moment on.
type heldBack struct {
	kv.Store
	mu   sync.Mutex
	held bool
}

func (h *heldBack) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	return h.Store.Watch(ctx, prefix, after, func(u kv.Update) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.held {
			tell(u)
		}
	})
}

// TestMemoryBehind has another server make changes of which memory is not told. What is changed builds on what is
// there, and what is refused is so by what is there.
func TestMemoryBehind(t *testing.T) {
	db, key := openKV(t), keyFile(t)
	other := newStore(t, db, key)
	held := &heldBack{Store: db}
	s := newStore(t, db, key)
	remembering(t, s, held, 0)
	set := func(s *Store, name, value string, only secret.Condition) (secret.Outcome, error) {
		return s.Apply(t.Context(), org, secret.Change{
			Set: map[string]secret.Value{name: secret.NewValue([]byte(value))}, Only: only, By: "ann"})
	}
	ok := func(out secret.Outcome, err error) secret.Outcome {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ok(set(s, "k", "1", secret.Anyway))
	ok(set(s, "k", "2", secret.Anyway))
	if _, known := s.recall(t.Context(), org); !known {
		t.Fatal("its own change is not in memory")
	}
	held.mu.Lock()
	held.held = true
	held.mu.Unlock()

	ok(set(other, "new", "1", secret.Anyway))
	ok(set(s, "new", "2", secret.IfExisting))
	if out := ok(set(other, "k", "3", secret.Anyway)); out.Versions["k"] != 3 {
		t.Errorf("version %d", out.Versions["k"])
	}
	if out := ok(set(s, "k", "4", secret.Anyway)); out.Versions["k"] != 4 {
		t.Errorf("a change upon one that memory was not told of is version %d, want 4", out.Versions["k"])
	}
	if _, err := other.Apply(t.Context(), org, secret.Change{Delete: []string{"k"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := set(s, "k", "5", secret.IfExisting); err == nil {
		t.Error("a secret that is not there any more was changed as one that is")
	}
	ok(set(s, "k", "6", secret.IfNew))
	snap, err := other.Read(t.Context(), org, secret.Query{})
	if err != nil || len(snap.Secrets) != 2 || string(snap.Secrets["k"].Value.Bytes()) != "6" ||
		string(snap.Secrets["new"].Value.Bytes()) != "2" {
		t.Errorf("%+v, %v", snap, err)
	}
}

// homes are the organisations' records of a test.
type homes struct{ kv.Store }

func (h homes) Open(_ context.Context, rec kv.Record) (kv.Record, error) { return rec, nil }

// TestOrgChecked deletes an organisation's own record at another server: nothing of it is changed or read any more,
// also where memory does not know of it yet.
func TestOrgChecked(t *testing.T) {
	for name, memory := range map[string]bool{"from memory": true, "from the engine": false} {
		t.Run(name, func(t *testing.T) {
			db := openKV(t)
			held := &heldBack{Store: db}
			s := newStore(t, db, keyFile(t))
			if memory {
				remembering(t, s, held, 0)
			}
			gone := errors.New("there is none")
			s.homes, s.gone = homes{s.kv}, gone
			s.home = func(org id.ID) string { return "org/" + org.String() }
			change := secret.Change{Set: map[string]secret.Value{"k": secret.NewValue([]byte("v"))}}
			if _, err := s.Apply(t.Context(), org, change); !errors.Is(err, gone) {
				t.Errorf("a change of none: %v", err)
			}
			if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(s.home(org), []byte("{}"))}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := s.Apply(t.Context(), org, change); err != nil {
					t.Fatal(err)
				}
			}
			held.mu.Lock()
			held.held = true
			held.mu.Unlock()
			if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Delete(s.home(org))}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Apply(t.Context(), org, change); !errors.Is(err, gone) {
				t.Errorf("a change of one that is gone: %v", err)
			}
			if _, err := s.Keys(t.Context(), org); !errors.Is(err, gone) {
				t.Errorf("a list of one that is gone: %v", err)
			}
			if _, err := s.Read(t.Context(), org, secret.Query{}); !errors.Is(err, gone) {
				t.Errorf("values of one that is gone: %v", err)
			}
			// What is left of it is removed, and a sweep goes past it.
			if err := s.Sweep(t.Context()); err != nil {
				t.Errorf("a sweep: %v", err)
			}
			if err := s.Purge(t.Context(), org); err != nil {
				t.Error(err)
			}
		})
	}
}

// asked counts how often memory is asked whether it is current, which is a read of the engine.
type asked struct {
	content.Near
	times int
}

func (a *asked) Serves(ctx context.Context, key string, stale time.Duration) bool {
	a.times++
	return a.Near.Serves(ctx, key, stale)
}

// TestMemoryHasNoLists asks for what memory never has: nobody asks then whether it is current.
func TestMemoryHasNoLists(t *testing.T) {
	db := openKV(t)
	s := newStore(t, db, keyFile(t))
	remembering(t, s, db, 0)
	a := &asked{Near: s.near}
	s.near = a
	apply(t, s, secret.Change{Set: setOf("k", "1", "gone", "1")})
	apply(t, s, secret.Change{Delete: []string{"gone"}})
	if infos, err := s.Deleted(t.Context(), org, secret.Page{}); err != nil || len(infos) != 1 {
		t.Errorf("%+v, %v", infos, err)
	}
	if _, err := s.DatedInfos(t.Context(), org); err != nil {
		t.Error(err)
	}
	if a.times > 0 {
		t.Errorf("memory was asked %d times", a.times)
	}
}
