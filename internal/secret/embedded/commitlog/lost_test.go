package commitlog

import (
	"context"
	"errors"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/secret/embedded/records"
)

// between does something before each look for a journal.
type between struct {
	kv.Store
	do func()
}

func (b *between) Get(ctx context.Context, key string) (kv.Record, error) {
	if key == Key(org) {
		b.do()
	}
	return b.Store.Get(ctx, key)
}

// TestLost: a large change is lost where the head says that there is one and its journal is gone, both at one moment. One
// change after the other, each of which is between its beginning and its end when somebody looks, is no such thing.
func TestLost(t *testing.T) {
	engine := &between{Store: clustertest.New().Server(), do: func() {}}
	head := func(h Head) {
		t.Helper()
		if _, err := engine.Txn(t.Context(), nil, []kv.Op{h.Put(records.Head(org))}); err != nil {
			t.Fatal(err)
		}
	}
	log := New(engine, nil, nil)
	if err := log.Lost(t.Context(), org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("an organisation without a head: %v", err)
	}
	head(Head{Version: 1})
	if err := log.Lost(t.Context(), org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a head at rest: %v", err)
	}
	head(Head{Version: 2, Pending: true})
	if err := log.Lost(t.Context(), org); !errors.Is(err, ErrLost) {
		t.Errorf("no journal: %v", err)
	}
	version := int64(2)
	engine.do = func() { // the change has ended, and the next one has begun when the head is looked at again
		version++
		head(Head{Version: version, Pending: true})
	}
	if err := log.Lost(t.Context(), org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("another change when the journal was looked for: %v", err)
	}
	engine.do = func() {}
	if _, err := engine.Txn(t.Context(), nil, []kv.Op{kv.Put(Key(org), nil)}); err != nil {
		t.Fatal(err)
	}
	if err := log.Lost(t.Context(), org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a journal: %v", err)
	}
}
