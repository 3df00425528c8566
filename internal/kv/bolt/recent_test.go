package bolt

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"strongroom/internal/kv"
)

func openRecent(t *testing.T) *DB {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "x.bolt"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func putAll(t *testing.T, db *DB, ops ...kv.Op) int64 {
	t.Helper()
	rev, err := db.Txn(t.Context(), nil, ops)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// TestRecentForgets changes records that are kept in memory in each way there is, and reads them again.
func TestRecentForgets(t *testing.T) {
	db := openRecent(t)
	keys := []string{"a/1", "a/2", "b/1"}
	var ops []kv.Op
	for _, k := range keys {
		ops = append(ops, kv.Put(k, []byte("old")))
	}
	putAll(t, db, ops...)
	read := func(key string) string {
		t.Helper()
		rec, err := db.Get(t.Context(), key)
		if errors.Is(err, kv.ErrNotFound) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(rec.Value)
	}
	for _, k := range keys {
		read(k)
		if _, ok := db.recent.get(k); !ok {
			t.Fatalf("%s was read and is not kept", k)
		}
	}
	putAll(t, db, kv.DeletePrefix("a/"), kv.Put("b/1", []byte("new")))
	for _, k := range keys {
		if want := map[string]string{"b/1": "new"}[k]; read(k) != want {
			t.Errorf("%s reads %q, want %q", k, read(k), want)
		}
	}
	if _, ok := db.recent.get("b/1"); !ok {
		t.Error("a record that was just put is not kept")
	}
	if _, err := db.Txn(t.Context(), []kv.Cond{kv.Missing("b/1")},
		[]kv.Op{kv.Put("b/1", []byte("refused"))}); !errors.Is(err, kv.ErrConflict) {
		t.Fatal(err)
	}
	if got := read("b/1"); got != "new" {
		t.Errorf("after a refused change it reads %q", got)
	}
	putAll(t, db, kv.Put("b/1", []byte(strings.Repeat("v", maxRecentRecord)))) // too large to be kept
	if got := read("b/1"); len(got) != maxRecentRecord {
		t.Errorf("%d bytes are read", len(got))
	}
	putAll(t, db, kv.Delete("b/1"))
	if got := read("b/1"); got != "" {
		t.Errorf("a deleted record reads %q", got)
	}
	if n := db.recent.records.Len(); n != 0 {
		t.Errorf("%d records are kept, and none should be", n)
	}
}

// TestRecentGivesCopies changes what was read.
func TestRecentGivesCopies(t *testing.T) {
	db := openRecent(t)
	putAll(t, db, kv.Put("k", []byte("value")))
	for range 3 {
		rec, err := db.Get(t.Context(), "k")
		if err != nil || string(rec.Value) != "value" {
			t.Fatalf("%q, %v", rec.Value, err)
		}
		rec.Value[0] = 'X'
	}
}

// TestRecentIsNoLaterThanReads ends a commit in every way while readers read: none may see what a
// later reader does not.
func TestRecentIsNoLaterThanReads(t *testing.T) {
	db := openRecent(t)
	putAll(t, db, kv.Put("k", []byte("0")))
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			var seen int64
			for {
				select {
				case <-stop:
					return
				default:
				}
				// A list is always read from the file, a single record most of the time from memory.
				recs, err := db.List(t.Context(), "k", "", 1)
				if err != nil || recs[0].Rev < seen {
					t.Errorf("the list has revision %d after %d was seen: %v", recs[0].Rev, seen, err)
					return
				}
				seen = recs[0].Rev
				rec, err := db.Get(t.Context(), "k")
				if err != nil || rec.Rev < seen {
					t.Errorf("the record has revision %d after %d was seen: %v", rec.Rev, seen, err)
					return
				}
				seen = rec.Rev
			}
		})
	}
	for n := range 100 {
		rev := putAll(t, db, kv.Put("k", fmt.Append(nil, n)))
		if rec, err := db.Get(t.Context(), "k"); err != nil || rec.Rev != rev {
			t.Fatalf("revision %d was written and %d is read: %v", rev, rec.Rev, err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestRecentAfterAFailedCommit reads what a commit that failed leaves, which is what was there before.
func TestRecentAfterAFailedCommit(t *testing.T) {
	db := openRecent(t)
	putAll(t, db, kv.Put("k", []byte("old")))
	broken := errors.New("the disk is broken")
	db.update = func(func(*bbolt.Tx) error) error { return broken }
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("new"))}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	for range 2 {
		if rec, err := db.Get(t.Context(), "k"); err != nil || string(rec.Value) != "old" {
			t.Fatalf("%q, %v", rec.Value, err)
		}
	}
	if _, ok := db.recent.get("k"); !ok {
		t.Error("nothing is kept any more after a commit that failed")
	}
}

// TestRecentIsBounded reads more than is kept, records too large to be kept among them.
func TestRecentIsBounded(t *testing.T) {
	db := openRecent(t)
	value := []byte(strings.Repeat("v", maxRecentRecord/2))
	for n := range 2 * maxRecent / (maxRecentRecord / 2) {
		db.recent.add(kv.Record{Key: fmt.Sprint(n), Value: value, Rev: 1}, db.recent.moment())
	}
	if size := kept(db.recent); size < maxRecent/2 || size > maxRecent {
		t.Errorf("%d bytes are kept of at most %d", size, maxRecent)
	}
	putAll(t, db, kv.Put("large", []byte(strings.Repeat("v", maxRecentRecord))))
	if _, err := db.Get(t.Context(), "large"); err != nil {
		t.Fatal(err)
	}
	if _, ok := db.recent.get("large"); ok {
		t.Error("a large record is kept")
	}
}

// TestRecentAfterClose reads a record that was kept.
func TestRecentAfterClose(t *testing.T) {
	db := openRecent(t)
	putAll(t, db, kv.Put("k", []byte("v")))
	moment := db.recent.moment()
	if _, err := db.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db.recent.add(kv.Record{Key: "k", Value: []byte("v"), Rev: 1}, moment) // by a reader that began before
	if _, err := db.Get(t.Context(), "k"); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("%v, want %v", err, kv.ErrClosed)
	}
}

// kept is how much the records take that are kept.
func kept(c *recent) (size int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for key := range c.records.Keys() {
		rec, _ := c.records.Get(key)
		size += len(rec.Key) + len(rec.Value) + recentOverhead
	}
	return size
}
