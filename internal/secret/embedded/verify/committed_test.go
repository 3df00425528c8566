package verify

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret/embedded/commitlog"
)

// TestCommittedList compares the lists over a change with those of a plain map that has it.
func TestCommittedList(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		key := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%d/", runs) + rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 3, -1).Draw(t, "key")
		})
		all := map[string]string{}
		for _, k := range rapid.SliceOfN(key, 0, 12).Draw(t, "there") {
			all[k] = "there"
			if _, err := db.Txn(context.Background(), nil, []kv.Op{kv.Put(k, []byte("there"))}); err != nil {
				t.Fatal(err)
			}
		}
		c := committed{Store: db, change: commitlog.Records{}}
		for _, k := range rapid.SliceOfN(key, 0, 12).Draw(t, "changed") {
			if rapid.Bool().Draw(t, "deleted") {
				c.change[k] = nil
				delete(all, k)
			} else {
				c.change[k], all[k] = []byte("changed"), "changed"
			}
		}
		c.keys = slices.Sorted(maps.Keys(c.change))
		prefix, after := key.Draw(t, "prefix"), rapid.OneOf(rapid.Just(""), key).Draw(t, "after")
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		var want []string
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if strings.HasPrefix(k, prefix) && k > after && len(want) < limit {
				want = append(want, k+" "+all[k])
			}
		}
		recs, err := c.List(context.Background(), prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range recs {
			got = append(got, r.Key+" "+string(r.Value))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		want, got = nil, nil
		for _, k := range slices.Backward(slices.Sorted(maps.Keys(all))) {
			if strings.HasPrefix(k, prefix) && (after == "" || k < after) && len(want) < limit {
				want = append(want, k+" "+all[k])
			}
		}
		if recs, err = c.ListBack(context.Background(), prefix, after, limit); err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			got = append(got, r.Key+" "+string(r.Value))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal("from the end:", diff)
		}
	})
}
