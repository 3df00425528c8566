package embedded

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// slow is an engine that counts how many reads go on at the same time.
type slow struct {
	kv.Store
	now, most atomic.Int64
}

func (s *slow) Get(ctx context.Context, key string) (kv.Record, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	time.Sleep(5 * time.Millisecond)
	return s.Store.Get(ctx, key)
}

// TestReadAhead asks a far engine at the same time for what a change reads, and one in the process after each other.
func TestReadAhead(t *testing.T) {
	for _, far := range []bool{true, false} {
		engine := &slow{Store: openKV(t)}
		s := newStore(t, engine, keyFile(t))
		s.far = far
		engine.most.Store(0)
		change := secret.Change{Set: map[string]secret.Value{"a": secret.NewValue([]byte("1")),
			"b": secret.NewValue([]byte("2"))}}
		if _, err := s.Apply(t.Context(), id.ID(1), change); err != nil {
			t.Fatal(err)
		}
		if most := engine.most.Load(); far != (most > 1) {
			t.Errorf("far %v: at most %d reads went on at a time", far, most)
		}
	}
}
