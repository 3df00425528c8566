package secrettest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// How many names a large change has that comes beside readers or other writers: enough for several transactions (128
// operations, two a name), and two parts of a journal over Vault (500 steps). More of them take minutes there, and find
// nothing more.
const (
	swapped = 260
	mixed   = 100
)

// How often what readers see is changed beside them. More often costs most of the suite's time, since readers that
// never rest take the processors from the writer: a store that tears is seen to in the first few.
const (
	swaps  = 8
	rounds = 8
)

// TestShared runs the tests of two instances on the same data, as two servers have: what one has answered, the other
// sees. open gives two instances on new, empty data at each call.
func TestShared(t *testing.T, open func(t *testing.T) (secret.Store, secret.Store)) {
	t.Run("SeesTheOthersChanges", func(t *testing.T) {
		a, b := open(t)
		for i, c := range []secret.Change{
			set("a", "1"), set("a", "2", "b", "2"), {Delete: []string{"a"}}, numbered("n", 300), set("b", "3"),
		} {
			writer, reader := a, b
			if i%2 == 1 {
				writer, reader = b, a
			}
			keysOf(t, reader, orgA) // fills what cache there is
			apply(t, writer, orgA, c)
			if diff := cmp.Diff(keysOf(t, writer, orgA), keysOf(t, reader, orgA)); diff != "" {
				t.Fatalf("after change %d (-writer +reader):\n%s", i, diff)
			}
			for key, v := range c.Set {
				wantValue(t, reader, orgA, key, string(v.Bytes()))
			}
		}
		wantMissing(t, b, orgA, "a")
		if err := b.Purge(t.Context(), orgA); err != nil {
			t.Fatalf("Purge: %v", err)
		}
		wantKeys(t, a, orgA)
		wantMissing(t, a, orgA, "b")
	})
	t.Run("NoneLost", func(t *testing.T) {
		a, b := open(t)
		distinctKeys(t, a, b)
	})
	t.Run("OneMakes", func(t *testing.T) {
		a, b := open(t)
		oneMakes(t, a, b)
	})
	t.Run("ReadersSeeWholeChanges", func(t *testing.T) {
		a, b := open(t)
		wholeChanges(t, a, b, 10, swaps)
	})
	t.Run("ReadersSeeWholeLargeChanges", func(t *testing.T) {
		a, b := open(t)
		wholeChanges(t, a, b, swapped, 1)
	})
	t.Run("ReadersSeeOneMoment", func(t *testing.T) {
		a, b := open(t)
		oneMoment(t, a, b)
	})
	t.Run("ConcurrentVersion", func(t *testing.T) {
		a, b := open(t)
		oneAtVersion(t, a, b)
	})
}

func testConcurrentDistinctKeys(t *testing.T, s secret.Store) { distinctKeys(t, s) }

// distinctKeys has 64 writers change one organisation at once, each its own key: every one succeeds, none is lost.
func distinctKeys(t *testing.T, stores ...secret.Store) {
	const writers = 64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			key := fmt.Sprintf("key-%02d", i)
			if _, err := stores[i%len(stores)].Apply(t.Context(), orgA, set(key, "value of "+key)); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, s := range stores {
		if got := len(keysOf(t, s, orgA)); got != writers {
			t.Fatalf("%d writers were answered nil and there are %d keys", writers, got)
		}
		for i := range writers {
			key := fmt.Sprintf("key-%02d", i)
			wantValue(t, s, orgA, key, "value of "+key)
		}
	}
}

func testConcurrentSameKey(t *testing.T, s secret.Store) {
	const writers = 16
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			v := fmt.Sprintf("value of %d", i)
			if _, err := s.Apply(t.Context(), orgA, set("same", v, "same too", v)); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	v, err := secret.Get(t.Context(), s, orgA, "same")
	if err != nil {
		t.Fatal(err)
	}
	var i int
	if _, err := fmt.Sscanf(string(v.Bytes()), "value of %d", &i); err != nil || i < 0 || i >= writers {
		t.Fatalf("the value is none of those written: %q", v.Bytes())
	}
	// The other key of the last change has the last change's value too.
	wantValue(t, s, orgA, "same too", string(v.Bytes()))
	wantKeys(t, s, orgA, "same", "same too")
}

// testConcurrentSetAndDelete mixes large and small changes of one organisation. Each writer owns its keys, so that
// what must be there in the end is known.
func testConcurrentSetAndDelete(t *testing.T, s secret.Store) {
	const writers, rounds = 4, 2
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			small, large := fmt.Sprintf("small-%d", w), numbered(fmt.Sprintf("large-%d", w), mixed)
			for range rounds {
				for _, c := range []secret.Change{
					set(small, "1"), large, {Delete: []string{small}},
					{Set: set(small, "2").Set, Delete: sortedKeys(large)},
				} {
					if _, err := s.Apply(t.Context(), orgA, c); err != nil {
						t.Errorf("writer %d: %v", w, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	var want []string
	for w := range writers {
		want = append(want, fmt.Sprintf("small-%d", w))
	}
	wantKeys(t, s, orgA, want...)
	for _, key := range want {
		wantValue(t, s, orgA, key, "2")
	}
}

func testReadersSeeWholeChanges(t *testing.T, s secret.Store) { wholeChanges(t, s, s, 10, swaps) }

func testReadersSeeWholeLargeChanges(t *testing.T, s secret.Store) { wholeChanges(t, s, s, swapped, 1) }

// wholeChanges has the writer swap two sets of n keys, one for the other, while readers list: a list is always one of
// the two, whole. A list is one call, so it must be one moment; several calls need not be.
func wholeChanges(t *testing.T, writer, reader secret.Store, n, rounds int) {
	even, odd := numbered("even", n), numbered("odd", n)
	lists := [2][]string{sortedKeys(even), sortedKeys(odd)}
	apply(t, writer, orgA, even)
	stop := readWhile(t, reader, orgA, func(keys []string) error {
		if !slices.Equal(keys, lists[0]) && !slices.Equal(keys, lists[1]) {
			return fmt.Errorf("a list of %d keys that is neither set of %d", len(keys), n)
		}
		return nil
	})
	for range rounds {
		apply(t, writer, orgA, secret.Change{Set: odd.Set, Delete: lists[0]})
		apply(t, writer, orgA, secret.Change{Set: even.Set, Delete: lists[1]})
	}
	stop()
	wantKeys(t, writer, orgA, lists[0]...)
	wantKeys(t, reader, orgA, lists[0]...)
}

func testReadersDuringPurge(t *testing.T, s secret.Store) {
	c := numbered("key", swapped)
	apply(t, s, orgA, c)
	stop := readWhile(t, s, orgA, func(keys []string) error {
		if len(keys) != 0 && len(keys) != len(c.Set) {
			return fmt.Errorf("a list of %d keys while %d are set or purged", len(keys), len(c.Set))
		}
		return nil
	})
	for range 2 {
		if err := s.Purge(t.Context(), orgA); err != nil {
			t.Errorf("Purge: %v", err)
		}
		apply(t, s, orgA, c)
	}
	stop()
	wantKeys(t, s, orgA, sortedKeys(c)...)
}

// readWhile lists in two goroutines and checks each list, until stop is called, which waits for them. Each has listed
// at least once before readWhile returns, so that the readers are at work when the writer is. They never rest: more of
// them would only take the processors from the writer.
func readWhile(t *testing.T, s secret.Store, org id.ID, check func(keys []string) error) (stop func()) {
	const readers = 2
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg, started sync.WaitGroup
	var failed atomic.Bool
	started.Add(readers)
	for range readers {
		wg.Go(func() {
			once := sync.OnceFunc(started.Done)
			defer once()
			for ctx.Err() == nil && !failed.Load() {
				keys, err := s.Keys(context.WithoutCancel(ctx), org)
				if err == nil {
					err = check(keys)
				}
				if err != nil && !failed.Swap(true) {
					t.Errorf("reader: %v", err)
				}
				once()
			}
		})
	}
	end := func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(end) // for a test that fails before it stops them
	started.Wait()
	return func() {
		end()
		if failed.Load() {
			t.FailNow()
		}
	}
}
