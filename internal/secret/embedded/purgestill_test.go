package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/secret"
)

// TestPurgeStandsStill has a server stand still before each transaction of a purge that is done while a mark stands.
// Meanwhile another finishes it, takes the mark away, and the organisation has secrets again: they stay.
func TestPurgeStandsStill(t *testing.T) {
	const mark = "deleting/org/it"
	for n := 1; ; n++ {
		cluster, key := clustertest.New(), keyFile(t)
		first := cluster.Server()
		s, other := newStore(t, first, key), newStore(t, cluster.Server(), key)
		set := func(s *Store, what string) {
			t.Helper()
			c := secret.Change{Set: map[string]secret.Value{}}
			for i := range 150 {
				c.Set[fmt.Sprint(what, i)] = secret.NewValue([]byte(what))
			}
			if _, err := s.Apply(t.Context(), org, c); err != nil {
				t.Fatal(err)
			}
		}
		set(s, "before")
		if _, err := first.Txn(t.Context(), nil, []kv.Op{kv.Put(mark, nil)}); err != nil {
			t.Fatal(err)
		}
		rec, err := first.Get(t.Context(), mark)
		if err != nil {
			t.Fatal(err)
		}
		var whole map[string][]byte
		first.Before(n, func() {
			if err := other.Purge(t.Context(), org); err != nil {
				t.Error(err)
			}
			if _, err := cluster.Server().Txn(t.Context(), nil, []kv.Op{kv.Delete(mark)}); err != nil {
				t.Error(err)
			}
			set(other, "after")
			whole = kvtest.All(t, cluster.Server())
		})
		err = s.Purge(kv.While(t.Context(), rec), org)
		if whole == nil {
			if err != nil || n < 4 {
				t.Errorf("the purge took %d transactions, %v", n, err)
			}
			return
		}
		if err != nil && !errors.Is(err, kv.ErrOver) {
			t.Errorf("standing still before transaction %d: %v", n, err)
		}
		for key, value := range whole {
			if is, err := first.Get(t.Context(), key); err != nil || !bytes.Equal(is.Value, value) {
				t.Errorf("standing still before transaction %d has changed %s: %v", n, key, err)
			}
		}
	}
}
