package uses

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

// failing is an engine whose transactions fail as long as err is set.
type failing struct {
	kv.Store
	err error
}

func (f *failing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Store.Txn(ctx, conds, ops)
}

// TestWrite keeps what cannot be written, and takes no later use away.
func TestWrite(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "data"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	engine := &failing{Store: db}
	b := New(engine, func(n int) string { return fmt.Sprint("used/", n) })
	last := func(n int) int64 {
		t.Helper()
		at, err := b.Last(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if at.IsZero() {
			return 0
		}
		return at.Unix()
	}
	all := func(int) bool { return true }
	b.MarkAll(time.Unix(100, 0), 3, func(i int) int { return i + 1 })
	b.Mark(time.Unix(90, 0), 1)
	away, unsure := errors.New("away"), errors.New("no answer")
	engine.err = away
	if err := b.Write(t.Context(), nil); !errors.Is(err, away) || len(b.Noted(all)) != 3 {
		t.Errorf("got %v, and %d are noted", err, len(b.Noted(all)))
	}
	engine.err = kv.ErrConflict
	if err := b.Write(t.Context(), nil); err != nil || len(b.Noted(all)) != 3 {
		t.Errorf("after a conflict: %v, and %d are noted", err, len(b.Noted(all)))
	}
	engine.err = nil
	if err := b.Write(t.Context(), func(context.Context, int) (bool, error) { return false, unsure }); err != unsure ||
		len(b.Noted(all)) != 3 {
		t.Errorf("where it cannot be told what is there: %v, and %d are noted", err, len(b.Noted(all)))
	}
	there := func(_ context.Context, n int) (bool, error) { return n != 3, nil }
	if err := b.Write(t.Context(), there); err != nil || len(b.Noted(all)) != 0 {
		t.Errorf("got %v, and %d are noted", err, len(b.Noted(all)))
	}
	b.Mark(time.Unix(80, 0), 1)
	b.Mark(time.Unix(110, 0), 2)
	for range 2 {
		if one, two, three := last(1), last(2), last(3); one != 100 || two != 110 || three != 0 {
			t.Errorf("last used at %d, %d and %d", one, two, three)
		}
		if err := b.Write(t.Context(), there); err != nil || len(b.Noted(all)) != 0 {
			t.Errorf("got %v, and %d are noted", err, len(b.Noted(all)))
		}
	}
	b.MarkAll(time.Unix(120, 0), 2, func(i int) int { return i + 1 })
	b.Forget(func(n int) bool { return n == 1 })
	if one, two := last(1), last(2); one != 100 || two != 120 {
		t.Errorf("last used at %d and %d", one, two)
	}
}
