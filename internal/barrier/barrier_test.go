package barrier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/seal"
)

var prefixes = []string{"user/", "username/", "setup"}

func open(t *testing.T) (*Store, *bolt.DB, *keyring.Keyring) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		t.Fatal(err)
	}
	return New(db, keys, prefixes), db, keys
}

func put(t *testing.T, s kv.Store, key, value string) {
	t.Helper()
	if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put(key, []byte(value))}); err != nil {
		t.Fatal(err)
	}
}

// TestForgeries writes into the engine what somebody can write who has the file and no key. None of it is believed.
func TestForgeries(t *testing.T) {
	s, db, _ := open(t)
	put(t, s, "user/1", `{"name":"ann"}`)
	put(t, s, "user/2", `{"name":"bob"}`)
	sealed := func(key string) []byte {
		r, err := db.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return r.Value
	}
	if bytes.Contains(sealed("user/1"), []byte("ann")) {
		t.Error("it is in clear")
	}
	flipped := sealed("user/1")
	flipped[len(flipped)-1] ^= 1
	older := sealed("user/1")
	older[4]++ // of a term that there is not
	for what, value := range map[string][]byte{
		"in clear": []byte(`{"name":"mallory","operator":true}`), "of another key": sealed("user/2"),
		"a bit flipped": flipped, "of an unknown term": older, "empty": {}, "cut short": sealed("user/1")[:10],
	} {
		put(t, db, "user/1", string(value))
		if _, err := s.Get(t.Context(), "user/1"); !errors.Is(err, kv.ErrForged) {
			t.Errorf("%s: Get gives %v", what, err)
		}
		if _, err := s.List(t.Context(), "user/", "", 10); !errors.Is(err, kv.ErrForged) {
			t.Errorf("%s: List gives %v", what, err)
		}
	}
	put(t, db, "setup", "x")
	if _, err := s.Get(t.Context(), "setup"); !errors.Is(err, kv.ErrForged) {
		t.Errorf("a whole key: %v", err)
	}
	put(t, db, "secrets/1", "of others")
	if r, err := s.Get(t.Context(), "secrets/1"); err != nil || string(r.Value) != "of others" {
		t.Errorf("what is not behind it: %q, %v", r.Value, err)
	}
}

func keysOf(rs []kv.Record) string {
	var all []string
	for _, r := range rs {
		all = append(all, r.Key)
	}
	return strings.Join(all, " ")
}

// TestInspect tells each forgery once, and shows the rest.
func TestInspect(t *testing.T) {
	s, db, keys := open(t)
	for i := range 5 {
		put(t, s, fmt.Sprintf("user/%d", i), "x")
	}
	for _, i := range []int{0, 1, 4} {
		put(t, db, fmt.Sprintf("user/%d", i), "forged")
	}
	var told []string
	in := Inspect(db, keys, prefixes, func(key, _ string) { told = append(told, key) })
	for range 2 {
		var seen []string
		for after := ""; ; {
			rs, err := in.List(t.Context(), "user/", after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(rs) == 0 {
				break
			}
			after = rs[0].Key
			seen = append(seen, after)
		}
		if got := strings.Join(seen, " "); got != "user/2 user/3" {
			t.Errorf("shown: %s", got)
		}
	}
	// A page that is not full is the last one, for those who read.
	for limit, want := range map[int]string{1: "user/2", 2: "user/2 user/3", 3: "user/2 user/3"} {
		rs, err := in.List(t.Context(), "user/", "", limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := keysOf(rs); got != want {
			t.Errorf("a page of %d has %s", limit, got)
		}
	}
	if rs, err := in.ListBack(t.Context(), "user/", "", 2); err != nil || keysOf(rs) != "user/3 user/2" {
		t.Errorf("the last page has %s, %v", keysOf(rs), err)
	}
	if _, err := in.Get(t.Context(), "user/0"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a forged one: %v", err)
	}
	if got := strings.Join(told, " "); got != "user/0 user/1 user/4" {
		t.Errorf("told: %s", got)
	}
}

// TestRewrite rotates the keys while others write: in the end all is of the new term, and opens without the old one.
func TestRewrite(t *testing.T) {
	s, db, keys := open(t)
	for i := range 300 {
		put(t, s, fmt.Sprintf("user/%03d", i), fmt.Sprint(i))
	}
	put(t, s, "user/broken", "x")
	put(t, db, "user/broken", "\x01\x00\x00\x00\x01 nothing that opens, long enough to be sealed")
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := s.Txn(t.Context(), nil,
					[]kv.Op{kv.Put(fmt.Sprintf("username/%d-%03d", w, i%100), []byte("x"))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	term, err := keys.Rotate(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var lost []string
	if err := s.Rewrite(t.Context(), func(key string) { lost = append(lost, key) }); err != nil {
		t.Fatal(err)
	}
	if err := keys.Retire(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	stop()
	wg.Wait()
	if len(lost) != 1 || lost[0] != "user/broken" {
		t.Errorf("told: %q", lost)
	}
	in := Inspect(db, keys, prefixes, func(key, what string) {
		if key != "user/broken" {
			t.Errorf("%s: %s", key, what)
		}
	})
	for after := ""; ; {
		rs, err := in.List(t.Context(), "user", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) == 0 {
			break
		}
		after = rs[len(rs)-1].Key
	}
	if r, err := s.Get(t.Context(), "user/007"); err != nil || string(r.Value) != "7" {
		t.Errorf("%q, %v", r.Value, err)
	}
}

func TestConforms(t *testing.T) {
	kvtest.Test(t, func(t *testing.T) kv.Store {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		_, _, keys := open(t) // of other data: the suite's are to be empty
		return New(db, keys, []string{"n", "there"})
	})
}
