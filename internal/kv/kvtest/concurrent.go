package kvtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom/internal/kv"
)

// testCounter has many goroutines add to one counter by compare and set: not one addition may be lost.
func testCounter(t *testing.T, s kv.Store) {
	const workers, additions = 8, 15
	txn(t, s, nil, put("n", "0"))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < additions; {
				rec, err := s.Get(t.Context(), "n")
				if err != nil {
					t.Errorf("Get: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(rec.Value))
				switch _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(rec)},
					[]kv.Op{put("n", strconv.Itoa(n+1))}); {
				case err == nil:
					done++
				case !errors.Is(err, kv.ErrConflict):
					t.Errorf("Txn: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, s, "n", strconv.Itoa(workers*additions))
}

// testConcurrentPuts has many writers put keys of their own: all succeed, each with a revision of its own.
func testConcurrentPuts(t *testing.T, s kv.Store) {
	const writers, puts = 64, 5
	var mu sync.Mutex
	revs := map[int64]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range puts {
				key := fmt.Sprintf("%02d/%d", w, i)
				rev, err := s.Txn(t.Context(), []kv.Cond{kv.Missing(key)}, []kv.Op{put(key, key)})
				if err != nil {
					t.Errorf("Txn: %v", err)
					return
				}
				if rec, err := s.Get(t.Context(), key); err != nil || rec.Rev != rev {
					t.Errorf("the record put at revision %d has %d, %v", rev, rec.Rev, err)
				}
				mu.Lock()
				revs[rev] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := len(list(t, s, "", "", 10_000)); got != writers*puts || len(revs) != writers*puts {
		t.Errorf("%d records and %d revisions, want %d of each", got, len(revs), writers*puts)
	}
}

// testConcurrentCreate lets one of many win.
func testConcurrentCreate(t *testing.T, s kv.Store) {
	for round := range 10 {
		key := fmt.Sprintf("key-%d", round)
		var wins atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				name := fmt.Sprint(i)
				switch _, err := s.Txn(t.Context(), []kv.Cond{kv.Missing(key)}, []kv.Op{put(key, name)}); {
				case err == nil:
					wins.Add(1)
					winner.Store(name)
				case !errors.Is(err, kv.ErrConflict):
					t.Errorf("Txn: %v", err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d of 8 made the same key", wins.Load())
		}
		wantValue(t, s, key, winner.Load().(string))
	}
}

// testConflictLeavesOthersAlone mixes transactions that are refused among those that are not: the engine may commit
// them together, but each has its own outcome.
func testConflictLeavesOthersAlone(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("there", "1"))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			key := fmt.Sprintf("k/%02d", i)
			if i%2 == 0 {
				if _, err := s.Txn(t.Context(), []kv.Cond{kv.Missing("there")}, []kv.Op{put(key, "x")}); !errors.Is(err,
					kv.ErrConflict) {
					t.Errorf("%s: %v, want %v", key, err, kv.ErrConflict)
				}
			} else if _, err := s.Txn(t.Context(), []kv.Cond{kv.Missing(key)}, []kv.Op{put(key, "x")}); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		})
	}
	wg.Wait()
	if got := len(list(t, s, "k/", "", 100)); got != 20 {
		t.Errorf("%d records, want 20", got)
	}
}

// testReaders swaps two groups of keys while readers list: a list is always one of the groups, all of one revision.
func testReaders(t *testing.T, s kv.Store) {
	group := func(name string) (puts, deletes []kv.Op) {
		for i := range 20 {
			key := fmt.Sprintf("g/%s/%02d", name, i)
			puts, deletes = append(puts, put(key, "x")), append(deletes, kv.Delete(key))
		}
		return puts, deletes
	}
	putA, deleteA := group("a")
	putB, deleteB := group("b")
	txn(t, s, nil, putA...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				recs, err := s.List(context.Background(), "g/", "", 100)
				if err != nil || len(recs) != 20 {
					t.Errorf("a list of %d records, want 20: %v", len(recs), err)
					return
				}
				for _, rec := range recs {
					if rec.Rev != recs[0].Rev {
						t.Errorf("a list with the revisions %d and %d", recs[0].Rev, rec.Rev)
						return
					}
				}
			}
		})
	}
	for range 25 {
		txn(t, s, nil, append(putB, deleteA...)...)
		txn(t, s, nil, append(putA, deleteB...)...)
	}
	cancel()
	wg.Wait()
}

// testCloseWaits closes under load: every transaction ends, with success or with ErrClosed.
func testCloseWaits(t *testing.T, s kv.Store) {
	var wg, started sync.WaitGroup
	started.Add(8)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := s.Txn(context.Background(), nil, []kv.Op{put(fmt.Sprintf("%d/%d", w, i), "x")})
				if i == 0 {
					started.Done()
				}
				if err != nil {
					if !errors.Is(err, kv.ErrClosed) {
						t.Errorf("Txn while closing: %v", err)
					}
					return
				}
			}
		})
	}
	started.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
}
