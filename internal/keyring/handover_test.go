package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

// server is one of several, with a key file of its own.
func server(t *testing.T, db kv.Store, file seal.Source, now func() time.Time) *Keyring {
	t.Helper()
	k, err := OpenOrInit(t.Context(), db, Config{Seal: file, Shared: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// TestHandover changes the seal at one of two servers: the other, which has not the new key, goes on with the new root
// key, and says that it cannot be started again until it has the key.
func TestHandover(t *testing.T) {
	db, dir := openBolt(t), t.TempDir()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	mine := seal.KeyFile(filepath.Join(dir, "first.key"))
	first := server(t, db, mine, now)
	second := server(t, db, mine, now)
	late := server(t, db, mine, now) // hears of nothing for a long time
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { second.Follow(ctx, func(err error) { t.Error(err) }) })
	defer following.Wait()
	defer stop()

	next := seal.KeyFile(filepath.Join(dir, "next.key"))
	nextSeal, err := next.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Reseal(t.Context(), nextSeal, now()); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	wait("the other server does not follow", second.Elsewhere)
	if by, keyID := second.SealedBy(); by != nextSeal.Type() || keyID != nextSeal.KeyID() {
		t.Errorf("it says that the seal is %s %s", by, keyID)
	}
	if first.Elsewhere() || first.KeyKept(t.Context()) != nil {
		t.Error("the server that has changed the seal does not know the key")
	}
	if err := second.KeyKept(t.Context()); !errors.Is(err, seal.ErrNoKey) || !strings.Contains(err.Error(),
		"another server has changed the seal") {
		t.Errorf("its next start will fail, and it says %v", err)
	}
	if err := second.Reseal(t.Context(), nil, now()); !errors.Is(err, seal.ErrWrap) {
		t.Errorf("a new root key by a seal that it does not have: %v", err)
	}
	// Both go on changing the keys, each after the other.
	term, err := second.Rotate(t.Context(), now())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Reload(t.Context()); err != nil || first.Term() != term {
		t.Errorf("the first has term %d, the second has made %d: %v", first.Term(), term, err)
	}
	sealed := mustSeal(t, second, orgA, foo, "bar")
	if plain, err := first.Open(orgA, foo, sealed); err != nil || string(plain) != "bar" {
		t.Errorf("%q, %v", plain, err)
	}
	// The key comes to where the second server's configuration says.
	if err := copyFile(string(next), string(mine)); err != nil {
		t.Fatal(err)
	}
	if err := second.KeyKept(t.Context()); err != nil {
		t.Errorf("the key is there: %v", err)
	}
	if err := second.Reseal(t.Context(), nil, now()); err != nil {
		t.Errorf("a new root key: %v", err)
	}
	server(t, db, mine, now) // a start

	// Nothing is handed over for ever, and nothing to another record.
	rec, err := db.Get(t.Context(), HandoverRecord)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.takeOver(t.Context(), []byte("another record")); !errors.Is(err, errNoHandover) {
		t.Errorf("for another record of a seal: %v", err)
	}
	if err := first.EndHandover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := db.Get(t.Context(), HandoverRecord); err != nil || again.Rev != rec.Rev {
		t.Errorf("it is removed too early: %v", err)
	}
	ahead.Store(int64(handoverTime + time.Second))
	if err := first.EndHandover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), HandoverRecord); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if err := late.Reload(t.Context()); err != nil { // the key is where it looks, too
		t.Errorf("a server that comes late, with the key: %v", err)
	}
}

// TestNoHandover has one server alone, which leaves no root key in its data.
func TestNoHandover(t *testing.T) {
	db, dir := openBolt(t), t.TempDir()
	k := openRing(t, db, newKeyFile(t))
	s, err := seal.KeyFile(filepath.Join(dir, "next.key")).Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Reseal(t.Context(), s, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), HandoverRecord); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the root key is in the data: %v", err)
	}
	// Nor one that a copy of several servers' data has brought.
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(HandoverRecord, []byte("x"))}); err != nil {
		t.Fatal(err)
	}
	if err := k.EndHandover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(t.Context(), HandoverRecord); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
