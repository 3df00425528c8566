package kvtest

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"strongroom/internal/kv"
)

// All are the values of all records of an engine.
func All(t testing.TB, s kv.Store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for rec, err := range kv.Each(t.Context(), s, "", 500) {
		if err != nil {
			t.Fatal(err)
		}
		all[rec.Key] = bytes.Clone(rec.Value)
	}
	return all
}

// Become puts an engine's data to what they were, but for the ops.
func Become(t testing.TB, s kv.Store, were map[string][]byte, ops []kv.Op) {
	t.Helper()
	want := maps.Clone(were)
	for _, op := range ops {
		if delete(want, op.Key); op.Kind == kv.OpPut {
			want[op.Key] = op.Value
		}
	}
	now, txn := All(t, s), []kv.Op{}
	for key := range now {
		if _, ok := want[key]; !ok {
			txn = append(txn, kv.Delete(key))
		}
	}
	for key, value := range want {
		if is, ok := now[key]; !ok || !bytes.Equal(is, value) {
			txn = append(txn, kv.Put(key, value))
		}
	}
	for some := range slices.Chunk(txn, kv.MaxOps) {
		if _, err := s.Txn(t.Context(), nil, some); err != nil {
			t.Fatal(err)
		}
	}
}
