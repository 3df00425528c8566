package commitlog

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

const org id.ID = 0x031c8cbefe101000

func FuzzDecodeStep(f *testing.F) {
	f.Add(Records{"a": []byte("record"), "b": nil, "c": []byte{}}.encode())
	f.Add([]byte{stepFormat})
	f.Add([]byte{stepFormatNames, 1, 'a', 7, 'r', 'e', 'c', 'o', 'r', 'd', 1, 'b', 0})
	f.Add([]byte{stepFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decode(org, b)
		if err != nil {
			return
		}
		again, err := decode(org, st.encode())
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := gocmp.Diff(st, again); diff != "" {
			t.Fatalf("%x, again: %s", b, diff)
		}
	})
}

// TestOrder has the operations of records of every kind come in the order of their keys, the head among them, in
// whatever order the keys are given.
func TestOrder(t *testing.T) {
	all := Records{"a": {}, records.Dated(org): nil}
	for _, form := range []records.Form{0, 1, 12} {
		for _, name := range []string{"a", "a/b", "k", "names", "ä", "#1"} {
			place := records.Place{Org: org, Form: form, Name: name}
			for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed, records.Version(3),
				records.Version(12), records.Trash(7)} {
				all[place.Slot(kind).Key] = []byte(name)
			}
		}
	}
	keys := slices.Sorted(maps.Keys(all))
	head := kv.Put(records.Head(org), nil)
	for range 50 {
		ops := all.opsWith(slices.Clone(keys), head)
		inOrder := slices.IsSortedFunc(ops, func(a, b kv.Op) int { return cmp.Compare(a.Key, b.Key) })
		if len(ops) != len(all)+1 || !inOrder {
			t.Fatalf("of %d records there are %d operations, in order: %t", len(all), len(ops), inOrder)
		}
		for _, op := range ops {
			if value, ok := all[op.Key]; op.Key != head.Key && (!ok || (value == nil) != (op.Kind == kv.OpDelete)) {
				t.Errorf("operation %v of %q", op.Kind, op.Key)
			}
		}
		rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	}
}
