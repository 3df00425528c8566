package etcd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPages reads all records, of whatever keys, and asks for ranges that have together not many times as many: an etcd
// counts all that a range has.
func TestPages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var small, large, tokens []string
	for org := range 2000 {
		for n := range 10 {
			small = append(small, fmt.Sprintf("p/org/%016x/%d", org, n), fmt.Sprintf("p/secret/%016x/%d", org, n))
		}
	}
	for org := range 20 {
		for n := range 1000 {
			large = append(large, fmt.Sprintf("p/%016x/a-secret-%04d", 1<<40+org, n))
		}
	}
	for range 20_000 {
		tokens = append(tokens, fmt.Sprintf("p/token/%016x", random.Uint64()))
	}
	odd := []string{"p/\xff\xff\xff", "p/\xff", "p/\x00"}
	for range 3000 {
		key := []byte("p/")
		for range 1 + random.IntN(6) {
			key = append(key, []byte{0, 1, 'a', 0xfe, 0xff}[random.IntN(5)])
		}
		odd = append(odd, string(key))
	}
	for _, tt := range []struct {
		name string
		keys []string
	}{
		{"none", nil}, {"one", []string{"p/a"}}, {"a page", large[:snapshotPage]}, {"many small", small},
		{"some large", large}, {"tokens", tokens}, {"odd", odd}, {"all", slices.Concat(small, large, tokens, odd)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := slices.Sorted(slices.Values(tt.keys))
			want = slices.Compact(want)
			var got []string
			counted, calls := 0, 0
			if err := pages("p/", snapshotPage, func(from, to string) ([]string, error) {
				if from >= to {
					t.Fatalf("asks for %q to %q", from, to)
				}
				first, _ := slices.BinarySearch(want, from)
				end, _ := slices.BinarySearch(want, to)
				counted, calls = counted+end-first, calls+1
				page := want[first:min(end, first+snapshotPage)]
				got = append(got, page...)
				return page, nil
			}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d of %d keys", len(got), len(want))
			}
			t.Logf("%d keys: %d calls, %d counted", len(want), calls, counted)
			if most := 24 * (len(want) + snapshotPage); counted > most {
				t.Errorf("%d records were counted for %d", counted, len(want))
			}
			if most := 3*len(want)/snapshotPage + 100; calls > most {
				t.Errorf("%d calls for %d records", calls, len(want))
			}
		})
	}
}
