package keyring

import (
	"errors"
	"testing"
	"time"

	"strongroom/internal/kv"
)

// TestCount counts what is sealed, over restarts and disks that are full, and from nothing in the next term.
func TestCount(t *testing.T) {
	store, f := &failingOnce{Store: openBolt(t)}, newKeyFile(t)
	k := openRing(t, store, f)
	for range 5 {
		mustSeal(t, k, orgA, foo, "bar")
	}
	store.err = kv.ErrFull
	if err := k.SaveCount(t.Context()); !errors.Is(err, kv.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	for range 2 {
		if err := k.SaveCount(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again := openRing(t, store, f)
	mustSeal(t, again, orgA, foo, "bar")
	if k.Sealed() != 5 || again.Sealed() != 6 || again.Unsaved() != 1 {
		t.Errorf("counted %d, and after a restart %d, of which %d are not kept", k.Sealed(), again.Sealed(),
			again.Unsaved())
	}
	if err := again.SaveCount(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if again.Sealed() != 0 {
		t.Errorf("the next term begins with %d", again.Sealed())
	}
}
