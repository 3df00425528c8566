package barrier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"strongroom/internal/kv"
)

func indexOf(token string) string {
	h := sha256.Sum256([]byte(token))
	return indexFolder + hex.EncodeToString(h[:])
}

// inClear are the keys in the engine from which a guess can be told to be right.
func inClear(t *testing.T, s *Store) (n int) {
	t.Helper()
	rs, err := s.Store.List(t.Context(), "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if isPlainIndex(r.Key) {
			n++
		}
	}
	return n
}

// TestIndexKeyed looks into the engine for the hash of a token that somebody has chosen.
func TestIndexKeyed(t *testing.T) {
	s, db, _ := open(t)
	s = New(db, s.keys, append(prefixes, indexFolder))
	key := indexOf("chosen")
	conds, ops := []kv.Cond{kv.Missing(key)}, []kv.Op{kv.Put(key, []byte(`"1"`))}
	if _, err := s.Txn(t.Context(), conds, ops); err != nil {
		t.Fatal(err)
	}
	if conds[0].Key != key || ops[0].Key != key {
		t.Error("the caller's operations were changed")
	}
	if n := inClear(t, s); n != 0 {
		t.Errorf("%d hashes in clear", n)
	}
	if _, err := s.Txn(t.Context(), conds, ops); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("the same token a second time: %v", err)
	}
	if r, err := s.Get(t.Context(), key); err != nil || string(r.Value) != `"1"` {
		t.Errorf("%q, %v", r.Value, err)
	}
	if _, err := s.Get(t.Context(), indexOf("other")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a token that there is not: %v", err)
	}
	// A rotation seals it anew where it is.
	if _, err := s.keys.Rotate(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Rewrite(t.Context(), func(key string) { t.Error("forged: ", key) }); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Get(t.Context(), key); err != nil || string(r.Value) != `"1"` || inClear(t, s) != 0 {
		t.Errorf("after a rotation %q, %v", r.Value, err)
	}
	if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Delete(key)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), key); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// TestKeyIndexes has plain hashes, of an older influxd, moved: by one server and by several at once, and by one
// that was cut short before. A forged one is left, and believed no more than before.
func TestKeyIndexes(t *testing.T) {
	s, db, _ := open(t)
	s = New(db, s.keys, append(prefixes, indexFolder))
	const n = 3*rewriteBatch + 5
	for i := range n {
		key := indexOf(fmt.Sprint(i))
		if _, err := s.write(t.Context(), nil, []kv.Op{kv.Put(key, fmt.Appendf(nil, "%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := s.Get(t.Context(), indexOf("7")); err != nil || string(r.Value) != "7" {
		t.Errorf("before: %q, %v", r.Value, err)
	}
	forged := indexOf("forged")
	put(t, db, forged, `"2"`)

	cut, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.KeyIndexes(cut); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
	first, err := s.Store.List(t.Context(), indexFolder, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.keyBatch(t.Context(), first); err != nil { // and was cut short in the middle
		t.Fatal(err)
	}
	ended := make(chan error)
	for range 3 {
		go func() {
			_, err := New(db, s.keys, append(prefixes, indexFolder)).KeyIndexes(t.Context())
			ended <- err
		}()
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := inClear(t, s); got != 1 {
		t.Errorf("%d hashes in clear, and only the forged one was to be left", got)
	}
	for i := range n {
		if r, err := s.Get(t.Context(), indexOf(fmt.Sprint(i))); err != nil || string(r.Value) != fmt.Sprint(i) {
			t.Errorf("%d: %q, %v", i, r.Value, err)
		}
	}
	if _, err := s.Get(t.Context(), forged); !errors.Is(err, kv.ErrForged) {
		t.Errorf("the forged one: %v", err)
	}
	if again, err := s.KeyIndexes(t.Context()); again != 0 || err != nil {
		t.Errorf("once more: %d, %v", again, err)
	}
	if rs, err := db.List(t.Context(), indexFolder+indexByte, "", n+1); err != nil || len(rs) != n {
		t.Errorf("%d keyed, %v", len(rs), err)
	}
}
