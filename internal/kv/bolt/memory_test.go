package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/kv"
)

// TestFaultInTheMap takes the pages away from below the map, as a disk does that fails: everything ends with an error,
// and nothing waits for good, the end included.
func TestFaultInTheMap(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "influxd.bolt"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(db.path, 0); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 3 {
			if _, err := db.List(t.Context(), "", "", 10); err == nil {
				t.Error("something was read")
			}
			if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("b", nil)}); err == nil {
				t.Error("something was written")
			}
		}
		if err := db.Health(); !errors.Is(err, kv.ErrFault) {
			t.Errorf("the health: %v", err)
		}
		db.Close()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it hangs")
	}
}
