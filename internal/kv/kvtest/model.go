package kvtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"strongroom/internal/kv"
)

// testModel makes random transactions on the store and on a plain map, and compares answers and content after each.
func testModel(t *testing.T, s kv.Store) {
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		// Each run has a prefix of its own; no run's prefix begins another's.
		runs++
		root := fmt.Sprintf("run-%d/", runs)
		model := map[string]kv.Record{}
		last := int64(0)
		key := rapid.Custom(func(t *rapid.T) string {
			return root + rapid.StringOfN(rapid.SampledFrom([]rune("ab/\x00")), 0, 3, -1).Draw(t, "key")
		})

		for range rapid.IntRange(1, 8).Draw(t, "transactions") {
			var conds []kv.Cond
			for range rapid.IntRange(0, 2).Draw(t, "conditions") {
				c := kv.Cond{Key: key.Draw(t, "condition on")}
				if rapid.Bool().Draw(t, "true one") {
					c.Rev = model[c.Key].Rev
				} else if len(model) > 0 {
					c.Rev = model[rapid.SampledFrom(slices.Sorted(maps.Keys(model))).Draw(t, "revision of")].Rev
				}
				conds = append(conds, c)
			}
			var ops []kv.Op
			for range rapid.IntRange(0, 4).Draw(t, "operations") {
				op := kv.Op{Key: key.Draw(t, "operation on"), Kind: rapid.SampledFrom([]kv.OpKind{kv.OpPut, kv.OpPut,
					kv.OpDelete, kv.OpDeletePrefix}).Draw(t, "kind")}
				if op.Kind == kv.OpPut {
					op.Value = rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "value")
				}
				ops = append(ops, op)
			}

			rev, err := s.Txn(context.Background(), conds, ops)
			switch want := modelOutcome(model, conds, ops); {
			case !errors.Is(err, want):
				t.Fatalf("Txn: %v, want %v", err, want)
			case err != nil && rev != 0:
				t.Fatalf("a refused transaction gave the revision %d", rev)
			case err == nil && (rev < last || rev == last && modelPuts(ops)):
				t.Fatalf("the revision went from %d to %d", last, rev)
			case err == nil:
				last = rev
				modelApply(model, ops, rev)
			}
			compare(t, s, model, root, key.Draw(t, "listed prefix"), key.Draw(t, "listed after"))
		}
	})
}

func modelOutcome(model map[string]kv.Record, conds []kv.Cond, ops []kv.Op) error {
	if err := kv.Validate(conds, ops); err != nil {
		return kv.ErrInvalid // the runs stay far below the limits
	}
	for _, c := range conds {
		if model[c.Key].Rev != c.Rev {
			return kv.ErrConflict
		}
	}
	return nil
}

// modelPuts reports whether the operations put a record: only then is the revision a new one for sure.
func modelPuts(ops []kv.Op) bool {
	return slices.ContainsFunc(ops, func(op kv.Op) bool { return op.Kind == kv.OpPut })
}

func modelApply(model map[string]kv.Record, ops []kv.Op, rev int64) {
	for _, op := range ops {
		switch op.Kind {
		case kv.OpPut:
			model[op.Key] = kv.Record{Key: op.Key, Value: append([]byte{}, op.Value...), Rev: rev}
		case kv.OpDelete:
			delete(model, op.Key)
		case kv.OpDeletePrefix:
			maps.DeleteFunc(model, func(k string, _ kv.Record) bool { return strings.HasPrefix(k, op.Key) })
		}
	}
}

// compare lists everything of the run, and one prefix after one key, and reads one key.
func compare(t *rapid.T, s kv.Store, model map[string]kv.Record, root, prefix, after string) {
	for _, q := range []struct {
		prefix, after string
		limit         int
	}{{root, "", 1000}, {prefix, after, 3}} {
		want := []kv.Record{}
		for _, k := range slices.Sorted(maps.Keys(model)) {
			if strings.HasPrefix(k, q.prefix) && k > q.after && len(want) < q.limit {
				want = append(want, model[k])
			}
		}
		recs, err := s.List(context.Background(), q.prefix, q.after, q.limit)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if diff := cmp.Diff(want, append([]kv.Record{}, recs...)); diff != "" {
			t.Fatalf("List(%q, %q, %d) (-model +store):\n%s", q.prefix, q.after, q.limit, diff)
		}
		want = []kv.Record{}
		for _, k := range slices.Backward(slices.Sorted(maps.Keys(model))) {
			if strings.HasPrefix(k, q.prefix) && (q.after == "" || k < q.after) && len(want) < q.limit {
				want = append(want, model[k])
			}
		}
		if recs, err = s.ListBack(context.Background(), q.prefix, q.after, q.limit); err != nil {
			t.Fatalf("ListBack: %v", err)
		}
		if diff := cmp.Diff(want, append([]kv.Record{}, recs...)); diff != "" {
			t.Fatalf("ListBack(%q, %q, %d) (-model +store):\n%s", q.prefix, q.after, q.limit, diff)
		}
	}
	rec, err := s.Get(context.Background(), after)
	want, ok := model[after]
	if ok != (err == nil) || !cmp.Equal(want, rec) {
		t.Fatalf("Get(%q) = %v, %v; the model has %v", after, rec, err, want)
	}
}
