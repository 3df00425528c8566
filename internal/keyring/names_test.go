package keyring

import (
	"errors"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
)

func mustIndex(t *testing.T, k *Keyring, form uint32, name string) string {
	t.Helper()
	index, err := k.Index(form, orgA, name)
	if err != nil || len(index) != 43 {
		t.Fatalf("the index of %q: %q, %v", name, index, err)
	}
	return index
}

func TestIndex(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	if _, err := k.Index(2, orgA, "foo"); !errors.Is(err, ErrTerm) {
		t.Errorf("of a term that is not there: %v", err)
	}
	if _, err := k.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	ofB, err := k.Index(1, orgB, "foo")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{ofB: true}
	for _, index := range []string{mustIndex(t, k, 1, "foo"), mustIndex(t, k, 2, "foo"), mustIndex(t, k, 1, "fop"),
		mustIndex(t, k, 1, "")} {
		if seen[index] || strings.ContainsAny(index, "/#") {
			t.Errorf("the index %q is of something else, too", index)
		}
		seen[index] = true
	}
	if !seen[mustIndex(t, openRing(t, store, f), 1, "foo")] {
		t.Error("opened again, the keyring gives another index")
	}
	// Another store's keys give others.
	if seen[mustIndex(t, openRing(t, openBolt(t), newKeyFile(t)), 1, "foo")] {
		t.Error("another keyring gives the same index")
	}
}

// asOlder makes of the keyring one that an older influxd has made, which left the records of users in clear.
func asOlder(t *testing.T, k *Keyring) {
	t.Helper()
	err := k.change(t.Context(), func(c *content) bool {
		c.Identities = false
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSealNames(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	want := func(what string, names Names, format byte) {
		t.Helper()
		rec, err := store.Get(t.Context(), KeyringRecord)
		if err != nil {
			t.Fatal(err)
		}
		if k.Names() != names || rec.Value[0] != format {
			t.Errorf("%s: %+v in format %d, want %+v in %d", what, k.Names(), rec.Value[0], names, format)
		}
		if again := openRing(t, store, f); again.Names() != names {
			t.Errorf("%s: opened again, %+v", what, again.Names())
		}
	}
	seal := func(on, begins bool) {
		t.Helper()
		if begun, err := k.SealNames(t.Context(), on); err != nil || begun != begins {
			t.Errorf("SealNames(%v): %v, %v", on, begun, err)
		}
	}
	moved := func(form uint32) {
		t.Helper()
		if err := k.NamesMoved(t.Context(), form); err != nil {
			t.Error(err)
		}
	}
	asOlder(t, k)
	want("at first", Names{}, 1)
	seal(false, false)
	moved(Clear)
	want("asked for what it is", Names{}, 1)

	seal(true, true)
	seal(true, false)
	want("begun", Names{Form: 1, Moving: true}, 2)
	if _, err := k.Rotate(t.Context(), time.Now()); !errors.Is(err, ErrMoving) {
		t.Errorf("a rotation meanwhile: %v", err)
	}
	if err := k.Reseal(t.Context(), nil, time.Now()); err != nil {
		t.Error(err)
	}
	seal(false, true)
	moved(1) // by somebody who has not heard of it
	want("turned round", Names{Form: Clear, Moving: true, From: 1}, 2)
	moved(Clear)
	want("undone", Names{}, 1)

	seal(true, true)
	moved(1)
	want("sealed", Names{Form: 1}, 2)
	if n, err := k.Rotate(t.Context(), time.Now()); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	want("rotated", Names{Form: 2, Moving: true, From: 1}, 2)
	if begun, err := k.SealNames(t.Context(), false); begun || !errors.Is(err, ErrRotating) {
		t.Errorf("unsealed during a rotation: %v, %v", begun, err)
	}
	if err := k.Retire(t.Context(), 2); err != nil || len(k.Terms()) != 2 {
		t.Errorf("the term that names are of was retired: %v, %+v", err, k.Terms())
	}
	moved(2)
	if begun, err := k.SealNames(t.Context(), false); begun || !errors.Is(err, ErrRotating) {
		t.Errorf("unsealed before the older term has gone: %v, %v", begun, err)
	}
	if err := k.Retire(t.Context(), 2); err != nil || len(k.Terms()) != 1 {
		t.Errorf("%v, %+v", err, k.Terms())
	}
	want("and the older term gone", Names{Form: 2}, 2)
}

// TestNamesFormatGuarded changes the format of the keyring's record, so that an older influxd would take it, or this
// one would take names for being in clear.
func TestNamesFormatGuarded(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	asOlder(t, k)
	if _, err := k.SealNames(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	rec, err := store.Get(t.Context(), KeyringRecord)
	if err != nil {
		t.Fatal(err)
	}
	for format, says := range map[byte]string{1: "damaged", 3: "damaged", 4: "newer influxd (format 4"} {
		rec.Value[0] = format
		if _, err := store.Txn(t.Context(), nil, []kv.Op{kv.Put(rec.Key, rec.Value)}); err != nil {
			t.Fatal(err)
		}
		fails(t, store, f, says)
	}
}

func TestSealNamesFails(t *testing.T) {
	store, f := &failingOnce{Store: openBolt(t)}, newKeyFile(t)
	k := openRing(t, store, f)
	store.err = kv.ErrFull
	if begun, err := k.SealNames(t.Context(), true); begun || !errors.Is(err, kv.ErrFull) {
		t.Errorf("on a full disk: %v, %v", begun, err)
	}
	if k.Names() != (Names{}) {
		t.Errorf("after that: %+v", k.Names())
	}
}
