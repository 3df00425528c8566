package etcd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/etcd/ranges"
)

// TestLargeList reads a large list of a real etcd from both ends, also where etcd forgets older revisions meanwhile, and
// passes over much of it.
func TestLargeList(t *testing.T) {
	c := etcdtest.Shared(t)
	s := open(t, c, etcdtest.Prefix(t))
	random := rand.New(rand.NewPCG(7, 8))
	var keys []string
	for range 40 {
		var ops []kv.Op
		for range kv.MaxOps {
			keys = append(keys, fmt.Sprintf("org/%016x", random.Uint64()>>8))
			ops = append(ops, kv.Put(keys[len(keys)-1], nil))
		}
		if _, err := s.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(keys)
	for round := range 3 {
		for _, back := range []bool{false, true} {
			var got []string
			list, at := s.List, ""
			if back {
				list = s.ListBack
			}
			for {
				page, err := list(t.Context(), "org/", at, 32)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page {
					got = append(got, r.Key)
				}
				if len(page) < 32 {
					break
				}
				if at = got[len(got)-1]; round == 1 && random.IntN(10) == 0 {
					if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("other", nil)}); err != nil {
						t.Fatal(err)
					}
					c.Compact(t)
				}
			}
			if back {
				slices.Reverse(got)
			}
			if !slices.Equal(got, keys) {
				t.Errorf("back %t: %d of %d keys", back, len(got), len(keys))
			}
		}
	}
	for _, n := range []int{1, 4095, 4096, 4097, len(keys), len(keys) + 1} {
		for _, back := range []bool{false, true} {
			at, want, there := n-1, "", min(n, len(keys))
			if back {
				at = len(keys) - n
			}
			if n <= len(keys) {
				want = keys[at]
			}
			if last, passed, err := s.Skip(t.Context(), "org/", "", back, n); err != nil || last != want || passed != there {
				t.Errorf("%d, back %t: %q, %d, %v; want %q, %d", n, back, last, passed, err, want, there)
			}
		}
	}
	// etcd forgets between the ranges of one page: of a later one it is asked at the revision of the first.
	forgotten := 0
	s.asking = func(r ranges.Span) {
		if r.Rev != 0 && forgotten < 8 {
			forgotten++
			if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("other", nil)}); err != nil {
				t.Error(err)
			}
			c.Compact(t)
		}
	}
	for at := 0; forgotten < 4 && at+32 < len(keys); at += 32 {
		page, err := s.List(t.Context(), "org/", keys[at], 32)
		if err != nil || len(page) != 32 || page[31].Key != keys[at+32] {
			t.Fatalf("%d records after %q, %v", len(page), keys[at], err)
		}
	}
	if last, passed, err := s.Skip(t.Context(), "org/", "", false, len(keys)); err != nil || passed != len(keys) ||
		last != keys[len(keys)-1] {
		t.Errorf("%d passed up to %q, %v", passed, last, err)
	}
	if forgotten < 5 {
		t.Errorf("etcd has forgotten %d times", forgotten)
	}
}
