package near_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/near"
)

// between is an engine that does something after a call was carried out and before its answer comes, and may lose the
// answer.
type between struct {
	kv.Store
	get, txn func()
	lost     bool
}

func (b *between) Get(ctx context.Context, key string) (kv.Record, error) {
	rec, err := b.Store.Get(ctx, key)
	if do := b.get; do != nil {
		b.get = nil
		do()
	}
	return rec, err
}

func (b *between) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := b.Store.Txn(ctx, conds, ops)
	if do := b.txn; do != nil {
		b.txn = nil
		do()
	}
	if b.lost {
		return 0, kv.ErrUnavailable
	}
	return rev, err
}

// known gives the store the record as it is in memory.
func known(t *testing.T, s *near.Store, key, value string) kv.Record {
	t.Helper()
	until(t, "what is there is not known", func() bool {
		_, _ = s.Get(t.Context(), key)
		return knows(s, key, value)
	})
	rec, _ := s.Recall(key)
	return rec
}

// TestAnswerLost loses the answer of a transaction that was carried out: what it was made upon is not believed any
// more, and neither is what it put until the engine says so.
func TestAnswerLost(t *testing.T) {
	e := open(t)
	b := &between{Store: e}
	s := follow(t, b, 1<<20)
	put(t, e, "a/head", "1")
	put(t, e, "a/k", "1")
	put(t, e, "a/gone", "1")
	known(t, s, "a/k", "1")
	known(t, s, "a/gone", "1")
	head := known(t, s, "a/head", "1")
	release := e.hold()
	defer release()
	b.lost = true
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(head)}, []kv.Op{kv.Put("a/head", []byte("2")),
		kv.Put("a/k", []byte("2")), kv.DeletePrefix("a/g")}); !errors.Is(err, kv.ErrUnavailable) {
		t.Fatal(err)
	}
	for _, key := range []string{"a/head", "a/k", "a/gone"} {
		if rec, is := s.Recall(key); is {
			t.Errorf("%s is known to be %q", key, rec.Value)
		}
	}
	get(t, s, "a/head", "2")
	if _, is := s.Recall("a/head"); is {
		t.Error("what was read is known before the watch tells of it")
	}
}

// TestMadeAgain has a record deleted and made again by another while a read of the one before is on its way: what was
// before never comes back, whether the watch has told of the deletion alone, or of both.
func TestMadeAgain(t *testing.T) {
	for _, again := range []bool{false, true} {
		e := open(t)
		b := &between{Store: e}
		s := follow(t, b, 1<<20)
		put(t, e, "a/k", "1")
		b.get = func() {
			if _, err := e.Txn(t.Context(), nil, []kv.Op{kv.Delete("a/k")}); err != nil {
				t.Error(err)
			}
			if again {
				put(t, e, "a/k", "2")
			}
			mark := put(t, e, "b/mark", "x")
			until(t, "the watch does not tell", func() bool { // another's read, of after it
				_, _ = s.Get(t.Context(), "b/mark")
				rec, is := s.Recall("b/mark")
				return is && rec.Rev >= mark
			})
		}
		get(t, s, "a/k", "1") // it began before
		if rec, is := s.Recall("a/k"); is && (!again || string(rec.Value) != "2") {
			t.Errorf("made again %v: %q is known", again, rec.Value)
		}
	}
}

// TestWatchEndsDuringChange has the watch end, another server change what a transaction of this one has just put, and a
// watch begin anew, all before the answer comes: the change that was acknowledged is not taken for the last one.
func TestWatchEndsDuringChange(t *testing.T) {
	e := open(t)
	b := &between{Store: e}
	s := follow(t, b, 1<<20)
	put(t, e, "a/head", "1")
	head := known(t, s, "a/head", "1")
	b.txn = func() {
		e.breaks(kv.ErrUnavailable)
		until(t, "it knows something without a watch", func() bool { return !s.Fresh(time.Hour) })
		put(t, e, "a/head", "3")
		put(t, e, "a/k", "3")
		e.breaks(nil)
		until(t, "there is no watch", func() bool { return s.Fresh(time.Hour) })
	}
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(head)}, []kv.Op{kv.Put("a/head", []byte("2")),
		kv.Put("a/k", []byte("2"))}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/head", "a/k"} {
		if rec, is := s.Recall(key); is && string(rec.Value) != "3" {
			t.Errorf("%s is known to be %q, which it was before", key, rec.Value)
		}
	}
}
