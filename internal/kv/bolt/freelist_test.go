package bolt

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"strongroom/internal/boltfile"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/snapshot"
)

// TestLongFreelist frees so many pages that their list is left out of the file: what is copied out, or left by a killed
// process, opens and is sound, and the list is there again at the end.
func TestLongFreelist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	txn := func(ops ...kv.Op) {
		t.Helper()
		if _, err := db.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		txn(kv.Put(fmt.Sprint("large/", i), make([]byte, 1<<20)))
	}
	txn(kv.DeletePrefix("large/"))
	size := func(path string) int64 {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		file, err := boltfile.Open(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		n, err := file.FreelistSize()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	txn(kv.Put("kept", []byte("value")))
	if n := size(path); n <= maxFreelist {
		t.Fatalf("the list is %d bytes long: it is not the test it should be", n)
	}
	for range freelistEvery {
		txn(kv.Put("kept", []byte("value")))
	}
	if n := size(path); n != 0 {
		t.Errorf("the list is %d bytes long", n)
	}
	left := filepath.Join(t.TempDir(), "left")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, left)
	if _, err := again.Txn(t.Context(), nil, []kv.Op{kv.Put("more", make([]byte, 1<<20))}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(left); err != nil || info.Size() != int64(len(whole)) {
		t.Errorf("opened again, it does not know what is free: %d bytes became %d", len(whole), info.Size())
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := size(path); n <= maxFreelist {
		t.Errorf("closed, the file has a list of %d bytes", n)
	}
	for _, p := range []string{path, left} {
		if _, problems, err := snapshot.Read(t.Context(), p); err != nil || len(problems) > 0 {
			t.Errorf("%s: %v, %q", p, err, problems)
		}
	}
}
