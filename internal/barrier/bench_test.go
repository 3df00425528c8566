package barrier

import (
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
)

// BenchmarkGet reads a record of a token's size with and without the barrier.
func BenchmarkGet(b *testing.B) {
	dir := b.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	keys, err := keyring.OpenOrInit(b.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		b.Fatal(err)
	}
	s := New(db, keys, prefixes)
	for name, store := range map[string]kv.Store{"sealed": s, "clear": db} {
		key := "user/1"
		if name == "clear" {
			key = "other/1"
		}
		if _, err := store.Txn(b.Context(), nil, []kv.Op{kv.Put(key, []byte(strings.Repeat("x", 500)))}); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := store.Get(b.Context(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
