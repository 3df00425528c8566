package snapshot

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"errors"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

func TestPeek(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	if _, err := Peek(path, "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	if _, err := db.Txn(ctx, nil, []kv.Op{kv.Put("a", []byte("0")), kv.Put("b", []byte("0"))}); err != nil {
		t.Fatal(err)
	}
	// While another writes, the two are always of one transaction.
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := fmt.Append(nil, i)
			if _, err := db.Txn(ctx, nil, []kv.Op{kv.Put("a", v), kv.Put("b", v),
				kv.Put(fmt.Sprint("filler/", i), make([]byte, 3000))}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	seen := 0
	for range 50 {
		got, err := Peek(path, "a", "b", "no such key")
		if err != nil {
			continue // too busy: said so
		}
		seen++
		if len(got) != 2 || string(got["a"].Value) != string(got["b"].Value) || got["a"].Rev != got["b"].Rev ||
			got["a"].Rev == 0 {
			t.Fatalf("got %v", got)
		}
	}
	close(stop)
	wg.Wait()
	got, err := Peek(path, "a", "b")
	if err != nil || len(got) != 2 {
		t.Errorf("at rest: %v, %v (seen %d while busy)", got, err, seen)
	}
}
