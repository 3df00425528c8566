package clustertest_test

import (
	"errors"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
)

func TestConforms(t *testing.T) {
	for name, store := range map[string]func(*clustertest.Server) kv.Store{
		"a server":            func(s *clustertest.Server) kv.Store { return s },
		"settled":             func(s *clustertest.Server) kv.Store { return kv.Settled(s) },
		"settled, sent again": func(s *clustertest.Server) kv.Store { return kv.Settled(clustertest.Once{Server: s}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kvtest.Test(t, func(t *testing.T) kv.Store { return store(clustertest.New().Server()) })
		})
	}
}

func put(key, value string) []kv.Op { return []kv.Op{kv.Put(key, []byte(value))} }

func must(t *testing.T, s kv.Store, key, value string) {
	t.Helper()
	if _, err := s.Txn(t.Context(), nil, put(key, value)); err != nil {
		t.Fatal(err)
	}
}

// TestCutOff cuts one of two servers off.
func TestCutOff(t *testing.T) {
	c := clustertest.New()
	one, two := c.Server(), c.Server()
	held, release, err := one.Hold(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	one.Cut()
	_, txnErr := one.Txn(t.Context(), nil, put("k", "v"))
	_, getErr := one.Get(t.Context(), "k")
	_, _, holdErr := one.Hold(t.Context(), "other")
	watchErr := one.Watch(t.Context(), "", 0, func(kv.Update) {})
	for what, err := range map[string]error{"a change": txnErr, "a read": getErr, "a hold": holdErr,
		"a watch": watchErr} {
		if !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if held.Err() == nil {
		t.Error("it holds a name still")
	}
	heldByTwo, releaseTwo, err := two.Hold(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	release() // what is another's now stays his
	one.Heal()
	again := make(chan error)
	go func() {
		_, _, err := one.Hold(t.Context(), "name")
		if heldByTwo.Err() == nil {
			err = errors.Join(err, errors.New("two hold one name"))
		}
		again <- err
	}()
	releaseTwo()
	if err := <-again; err != nil {
		t.Error(err)
	}
	if _, err := one.Get(t.Context(), "k"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a change was made by a server that was cut off: %v", err)
	}
}

// TestWatchFaults has watches break, lag and be behind a compaction.
func TestWatchFaults(t *testing.T) {
	c := clustertest.New()
	s := c.Server()
	must(t, s, "k", "1")
	rec, err := s.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	must(t, s, "k", "2")
	began, ended := make(chan bool, 1), make(chan error, 1)
	watch := func(after int64) {
		go func() {
			first := true
			ended <- s.Watch(t.Context(), "", after, func(u kv.Update) {
				if first {
					first = false
					began <- after == 0 || len(u.Events) == 1 && string(u.Events[0].Value) == "2"
				}
			})
		}()
		if !<-began {
			t.Error("the watch begins with something else")
		}
	}
	watch(rec.Rev)
	s.BreakWatches(kv.ErrUnavailable)
	if err := <-ended; !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("broken: %v", err)
	}
	if err := s.Watch(t.Context(), "", 0, func(kv.Update) {}); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("begun while they are broken: %v", err)
	}
	s.BreakWatches(nil)
	watch(0)
	s.Stall()
	must(t, s, "k", "3")
	c.Compact()
	s.Resume()
	if err := <-ended; !errors.Is(err, kv.ErrLagging) {
		t.Errorf("behind a compaction: %v", err)
	}
	if err := s.Watch(t.Context(), "", rec.Rev, func(kv.Update) {}); !errors.Is(err, kv.ErrLagging) {
		t.Errorf("from before a compaction: %v", err)
	}
}

// TestLostAnswers loses an answer, sends the transaction again, and has another server come between.
func TestLostAnswers(t *testing.T) {
	c := clustertest.New()
	s, other := c.Server(), c.Server()
	s.Lose(1, nil)
	if _, err := s.Txn(t.Context(), nil, put("k", "ours")); !errors.Is(err, clustertest.ErrLost) || !s.Lost() {
		t.Errorf("lost: %v", err)
	}
	rec, err := other.Get(t.Context(), "k")
	if err != nil || string(rec.Value) != "ours" {
		t.Fatalf("it was not carried out: %q, %v", rec.Value, err)
	}
	try, end := clustertest.Once{Server: s}.Once([]kv.Cond{kv.Unchanged(rec)}, put("k", "again"))
	defer end()
	s.Lose(1, func() { must(t, other, "k", "theirs") })
	if _, err := try(t.Context()); !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("the first try: %v", err)
	}
	if rev, err := try(t.Context()); err != nil || rev <= rec.Rev {
		t.Errorf("the second try: %d, %v", rev, err)
	}
	if rec, err = s.Get(t.Context(), "k"); err != nil || string(rec.Value) != "theirs" {
		t.Errorf("the second try was carried out: %q, %v", rec.Value, err)
	}
	s.Before(1, func() { must(t, other, "k", "first") })
	_, err = s.Txn(t.Context(), []kv.Cond{kv.Unchanged(rec)}, put("k", "second"))
	if !errors.Is(err, kv.ErrConflict) {
		t.Errorf("another came between: %v", err)
	}
}

func TestLostHold(t *testing.T) {
	c := clustertest.New()
	s, other := c.Server(), c.Server()
	held, _, err := s.Hold(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	s.LoseHolds()
	<-held.Done()
	if _, _, err := other.Hold(t.Context(), "name"); err != nil {
		t.Fatal(err)
	}
}
