package sealed

import (
	"path/filepath"
	"testing"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/secrettest"
)

func openKV(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// newStore is a store on the data in db, as a server that has just started has it.
func newStore(t testing.TB, db kv.Store, key seal.KeyFile) *Store {
	t.Helper()
	ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: key})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{KV: db, Keyring: ring, History: 10})
}

func keyFile(t testing.TB) seal.KeyFile { return seal.KeyFile(filepath.Join(t.TempDir(), "seal.key")) }

func TestSuite(t *testing.T) {
	t.Parallel()
	secrettest.Test(t, func(t *testing.T) secret.Store { return newStore(t, openKV(t), keyFile(t)) })
	secrettest.TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
		db, key := openKV(t), keyFile(t)
		return newStore(t, db, key), newStore(t, db, key)
	})
}

// TestSuiteSmallPages lists in pages smaller than the lists.
func TestSuiteSmallPages(t *testing.T) {
	t.Parallel()
	secrettest.Test(t, func(t *testing.T) secret.Store {
		s := newStore(t, openKV(t), keyFile(t))
		s.page = 150
		return s
	})
}
