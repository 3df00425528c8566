package keyring

import (
	"testing"
	"time"

	"strongroom/internal/kv"
)

// TestIdentitiesMark looks at what says that the records of users are sealed: it stays, and the keyring's record with
// it cannot be taken for one without.
func TestIdentitiesMark(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k := openRing(t, store, f)
	if !k.IdentitiesSealed() {
		t.Error("new data are without it")
	}
	asOlder(t, k)
	if again := openRing(t, store, f); again.IdentitiesSealed() {
		t.Error("data of an older influxd have it")
	}
	if err := k.SealIdentities(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := k.Reseal(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if again := openRing(t, store, f); !again.IdentitiesSealed() || !k.IdentitiesSealed() {
		t.Error("it is gone after a rotation and a seal change")
	}
	rec, err := store.Get(t.Context(), KeyringRecord)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []byte{1, 2} {
		rec.Value[0] = format
		if _, err := store.Txn(t.Context(), nil, []kv.Op{kv.Put(rec.Key, rec.Value)}); err != nil {
			t.Fatal(err)
		}
		fails(t, store, f, "damaged")
	}
}
