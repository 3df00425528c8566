package keyring

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
)

func openBolt(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newKeyFile(t *testing.T) seal.KeyFile {
	return seal.KeyFile(filepath.Join(t.TempDir(), "keys", "seal.key"))
}

func openRing(t *testing.T, store kv.Store, f seal.Source) *Keyring {
	t.Helper()
	k, err := OpenOrInit(t.Context(), store, Config{Seal: f})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fails opens, which must end with an error that has all the words; and nothing may be made or changed.
func fails(t *testing.T, store kv.Store, f seal.Source, words ...string) {
	t.Helper()
	before, err := store.List(t.Context(), "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = OpenOrInit(t.Context(), store, Config{Seal: f}); err == nil {
		t.Error("it opened")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is not one line: %v", err)
	}
	after, err := store.List(t.Context(), "", "", 100)
	if err != nil || len(before) != len(after) {
		t.Fatalf("%d records, then %d: %v", len(before), len(after), err)
	}
	for i := range before {
		if before[i].Rev != after[i].Rev {
			t.Errorf("%s was changed", before[i].Key)
		}
	}
}

func TestKeyMissing(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	_, keyID := k.SealedBy()
	if err := os.Remove(string(f)); err != nil {
		t.Fatal(err)
	}
	fails(t, store, f, string(f), "missing", keyID, "--seal-key-file")
	if _, err := os.Stat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made for data that have one: %v", err)
	}
}

func TestKeyWrong(t *testing.T) {
	store, f, other := openBolt(t), newKeyFile(t), newKeyFile(t)
	_, keyID := openRing(t, store, f).SealedBy()
	_, otherID := openRing(t, openBolt(t), other).SealedBy()
	fails(t, store, other, string(other), "wrong", keyID, otherID, "--seal-key-file")
	openRing(t, store, f) // and the right one opens as before
}

func TestKeyOpenToOthers(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	openRing(t, store, f)
	if err := os.Chmod(string(f), 0o640); err != nil {
		t.Fatal(err)
	}
	fails(t, store, f, "chmod 600 "+string(f))
	fails(t, openBolt(t), f, "chmod 600 "+string(f)) // at a first start too
}

// otherSeal is a source of another type.
type otherSeal struct{ seal.KeyFile }

func (otherSeal) Type() string   { return "passphrase" }
func (otherSeal) String() string { return "passphrase from /x" }

func TestDamagedRecords(t *testing.T) {
	f := newKeyFile(t)
	damage := func(name string, f seal.KeyFile, key string, change func([]byte) []byte, words ...string) {
		t.Helper()
		store := openBolt(t)
		openRing(t, store, f)
		rec, err := store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		op := kv.Delete(key)
		if value := change(rec.Value); value != nil {
			op = kv.Put(key, value)
		}
		if _, err := store.Txn(t.Context(), nil, []kv.Op{op}); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { fails(t, store, f, words...) })
	}
	gone := func([]byte) []byte { return nil }
	damage("no seal record", f, SealRecord, gone, KeyringRecord, SealRecord, "backup")
	damage("no keyring record", f, KeyringRecord, gone, KeyringRecord, "backup")
	damage("seal record not JSON", f, SealRecord, func([]byte) []byte { return []byte("x") }, SealRecord, "backup")
	edit := func(e func(*sealRecord)) func([]byte) []byte {
		return func(b []byte) []byte {
			var rec sealRecord
			if err := json.Unmarshal(b, &rec); err != nil {
				t.Fatal(err)
			}
			e(&rec)
			b, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	damage("newer seal record", f, SealRecord, edit(func(r *sealRecord) { r.Format = 2 }), "newer influxd")
	damage("another seal", f, SealRecord, edit(func(r *sealRecord) { r.Seal = "transit" }), "transit", string(f))
	damage("wrapped key", f, SealRecord, edit(func(r *sealRecord) { r.Root[5] ^= 1 }), SealRecord, "damaged", "backup")
	damage("keyring record", f, KeyringRecord, func(b []byte) []byte { b[30] ^= 1; return b }, KeyringRecord, "damaged")
	damage("short keyring record", f, KeyringRecord, func(b []byte) []byte { return b[:20] }, KeyringRecord, "damaged")
	damage("newer keyring record", f, KeyringRecord, func(b []byte) []byte { b[0] = 4; return b }, "newer influxd")
	// The keyring of other data, sealed with the same key file.
	other := openBolt(t)
	openRing(t, other, f)
	rec, err := other.Get(t.Context(), KeyringRecord)
	if err != nil {
		t.Fatal(err)
	}
	damage("keyring of others", f, KeyringRecord, func([]byte) []byte { return rec.Value }, KeyringRecord, "belong")

	store := openBolt(t)
	openRing(t, store, f)
	fails(t, store, otherSeal{f}, "key-file", "passphrase from /x")
}

func TestFirstStart(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	if len(k.StoreID()) != 32 || k.Term() != 1 {
		t.Errorf("store %q, term %d", k.StoreID(), k.Term())
	}
	sealed := mustSeal(t, k, orgA, foo, "bar")
	derived, _ := k.DeriveKey("x")
	k.Close()
	if _, err := k.Seal(orgA, foo, nil); err == nil {
		t.Error("a closed keyring seals")
	}

	if _, err := k.DeriveKey("x"); err == nil {
		t.Error("a closed keyring derives keys")
	}
	again := openRing(t, store, f)
	if got, err := again.Open(orgA, foo, sealed); err != nil || string(got) != "bar" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	if now, _ := again.DeriveKey("x"); !bytes.Equal(derived, now) {
		t.Error("after a restart, another derived key")
	}
	if again.StoreID() != k.StoreID() {
		t.Error("after a restart, another store ID")
	}
	// New data beside a key file that is there use it.
	key, err := os.ReadFile(string(f))
	if err != nil {
		t.Fatal(err)
	}
	other := openRing(t, openBolt(t), f)
	if now, _ := os.ReadFile(string(f)); !bytes.Equal(key, now) {
		t.Error("the key file that was there was changed")
	}
	if _, err := other.Open(orgA, foo, sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("what other data under the same key file sealed: %v, want %v", err, ErrOpen)
	}
}

// TestNothingInTheClear looks for the keys in the records.
func TestNothingInTheClear(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	recs, err := store.List(t.Context(), "", "", 100)
	if err != nil || len(recs) != 2 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	for _, rec := range recs {
		for _, key := range [][]byte{k.content.Terms[0].Key, k.content.Secret, []byte(k.content.StoreID)} {
			if bytes.Contains(rec.Value, key) {
				t.Errorf("%s holds a key", rec.Key)
			}
		}
	}
}

func TestConcurrentFirstStarts(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	rings := make([]*Keyring, 8)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() {
			k, err := OpenOrInit(t.Context(), store, Config{Seal: f})
			if err != nil {
				t.Errorf("start %d: %v", i, err)
			}
			rings[i] = k
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sealed := mustSeal(t, rings[0], orgA, foo, "bar")
	for i, k := range rings {
		if _, err := k.Open(orgA, foo, sealed); err != nil {
			t.Errorf("start %d has other keys: %v", i, err)
		}
	}
}

func TestRotate(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	a := openRing(t, store, f)
	b := openRing(t, store, f)
	old := mustSeal(t, a, orgA, foo, "old")
	derived, _ := a.DeriveKey("x")
	n, err := a.Rotate(t.Context(), time.Now())
	if err != nil || n != 2 || a.Term() != 2 {
		t.Fatalf("Rotate: %d, %v; the term is %d", n, err, a.Term())
	}
	if n, err = b.Rotate(t.Context(), time.Now()); err != nil || n != 3 { // b had not heard of 2
		t.Fatalf("Rotate by another: %d, %v", n, err)
	}
	new := mustSeal(t, b, orgA, foo, "new")
	if _, err := a.Open(orgA, foo, new); !errors.Is(err, ErrTerm) {
		t.Errorf("a term of another server's: %v, want %v", err, ErrTerm)
	}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*Keyring{"a": a, "b": b, "reopened": openRing(t, store, f)} {
		if k.Term() != 3 {
			t.Errorf("%s: the term is %d", name, k.Term())
		}
		for sealed, want := range map[string]string{string(old): "old", string(new): "new"} {
			if got, err := k.Open(orgA, foo, []byte(sealed)); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", name, got, err, want)
			}
		}
		if now, _ := k.DeriveKey("x"); !bytes.Equal(derived, now) {
			t.Errorf("%s: another derived key after a rotation", name)
		}
	}
}
