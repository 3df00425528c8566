package etcd

import (
	"context"
	"errors"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
)

// TestSetBack sets etcd back to what it held before, below a watch and a transaction that know of later revisions: the
// watch ends, though nothing that it would tell of is missing, and the transaction is not taken for one that was
// carried out.
func TestSetBack(t *testing.T) {
	c := etcdtest.Start(t, 1)
	engine := open(t, c, "x/")
	s := kv.Settled(engine)
	write := func(k string) {
		t.Helper()
		if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put(k, []byte("1"))}); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
	}
	write("before") // the turn that it takes is in what is kept
	c.Members[0].Kill()
	back := c.Members[0].Save(t)
	c.Members[0].Restart(t)

	told, ended := make(chan int64, 1000), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- s.Watch(ctx, "", 0, func(u kv.Update) { told <- u.Rev }) }()
	<-told
	for range 20 {
		write("lost")
	}
	last, err := s.Get(t.Context(), "lost")
	if err != nil {
		t.Fatal(err)
	}
	for rev := int64(0); rev < last.Rev; {
		select {
		case rev = <-told:
		case err := <-ended: // the restart came between
			t.Fatalf("the watch ended early: %v", err)
		}
	}
	c.Members[0].Kill()
	back()
	c.Members[0].Restart(t)

	// Also where the answer to a try before did not come.
	o := &once{s: engine, ops: []kv.Op{kv.Put("unanswered", nil)}}
	if o.turn, err = engine.turns.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.lost = true
	for _, err = o.try(t.Context()); errors.Is(err, kv.ErrUnknown); _, err = o.try(t.Context()) {
	}
	if _, there := s.Get(t.Context(), "unanswered"); err != nil || there != nil {
		t.Errorf("what was acknowledged when its turn was of before: %v, %v", err, there)
	}
	write("after")
	if _, err := s.Get(t.Context(), "after"); err != nil {
		t.Errorf("what was acknowledged: %v", err)
	}
	if _, err := s.Get(t.Context(), "lost"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("etcd was not set back: %v", err)
	}
	if err := <-ended; !errors.Is(err, kv.ErrLagging) && !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("the watch ended with %v", err)
	}
}

// TestWatchAhead watches after a revision that etcd has not come to, as one does that goes on after etcd was set back:
// changes up to there would never be told.
func TestWatchAhead(t *testing.T) {
	s := open(t, etcdtest.Shared(t), etcdtest.Prefix(t))
	rev, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("1"))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(t.Context(), "", rev+1_000_000, func(kv.Update) {}); !errors.Is(err, kv.ErrLagging) {
		t.Errorf("the watch ended with %v", err)
	}
}
