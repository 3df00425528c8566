package bolt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
)

// openNew opens a file in a new folder for the length of the test.
func openNew(t *testing.T) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "data", "influxd.bolt"))
}

func openAt(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func TestSuite(t *testing.T) {
	t.Parallel()
	kvtest.Test(t, func(t *testing.T) kv.Store { return openNew(t) })
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	var last int64
	for i := range 3 {
		db := openAt(t, path)
		for j := range i {
			rec, err := db.Get(t.Context(), fmt.Sprint(j))
			if err != nil || string(rec.Value) != "value" {
				t.Fatalf("what opening %d wrote: %q, %v", j, rec.Value, err)
			}
		}
		rev, err := db.Txn(t.Context(), []kv.Cond{kv.Missing(fmt.Sprint(i))},
			[]kv.Op{kv.Put(fmt.Sprint(i), []byte("value"))})
		if err != nil {
			t.Fatal(err)
		}
		if rev <= last {
			t.Errorf("the revision went from %d to %d over a restart", last, rev)
		}
		last = rev
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModes(t *testing.T) {
	db := openNew(t)
	for path, want := range map[string]os.FileMode{db.path: 0o600, db.path + ".pid": 0o600,
		filepath.Dir(db.path): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func BenchmarkTxn(b *testing.B) {
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db, err := Open(filepath.Join(b.TempDir(), "influxd.bolt"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			value := bytes.Repeat([]byte("x"), 200)
			b.SetParallelism(writers)
			b.ResetTimer()
			write := func(key string) {
				if _, err := db.Txn(context.Background(), nil, []kv.Op{kv.Put(key, value)}); err != nil {
					b.Error(err)
				}
			}
			if writers == 1 {
				for i := range b.N {
					write(fmt.Sprint(i % 1000))
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					write(fmt.Sprint(i % 1000))
				}
			})
		})
	}
}
