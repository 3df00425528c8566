package keyring

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

func passphrase(text string) seal.Passphrase {
	return seal.Passphrase{From: "test", Ask: func(context.Context, bool) ([]byte, error) { return []byte(text), nil }}
}

func mustLoad(t *testing.T, s seal.Source) seal.Seal {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRetire(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k, other := openRing(t, store, f), openRing(t, store, f)
	values := []string{string(mustSeal(t, k, orgA, foo, "one"))}
	for _, v := range []string{"two", "three"} {
		if _, err := k.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		values = append(values, string(mustSeal(t, k, orgA, foo, v)))
	}
	for before, opens := range map[uint32]int{0: 3, 1: 3} {
		if err := k.Retire(t.Context(), before); err != nil || len(k.Terms()) != opens {
			t.Errorf("retiring what is before %d: %v, %d terms", before, err, len(k.Terms()))
		}
	}
	if err := k.Retire(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := other.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*Keyring{"it": k, "another server": other, "reopened": openRing(t, store, f)} {
		if _, err := k.Open(orgA, foo, []byte(values[0])); !errors.Is(err, ErrTerm) {
			t.Errorf("%s: of a retired term: %v, want %v", name, err, ErrTerm)
		}
		for _, v := range values[1:] {
			if _, err := k.Open(orgA, foo, []byte(v)); err != nil {
				t.Errorf("%s: of a term that is left: %v", name, err)
			}
		}
	}
	// The current term stays, whatever is asked for; and no number comes twice.
	if err := k.Retire(t.Context(), 99); err != nil || len(k.Terms()) != 1 || k.Term() != 3 {
		t.Errorf("retiring all: %v, %+v", err, k.Terms())
	}
	if n, err := k.Rotate(t.Context(), time.Now()); err != nil || n != 4 {
		t.Errorf("then a rotation: %d, %v", n, err)
	}
}

// TestReseal goes from a key file to a passphrase, to another passphrase, and to another key file. What is sealed opens
// all the while, and no former seal opens the data.
func TestReseal(t *testing.T) {
	store, first, last := openBolt(t), newKeyFile(t), newKeyFile(t)
	k := openRing(t, store, first)
	sealed := mustSeal(t, k, orgA, foo, "bar")
	if _, err := last.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	former := []seal.Source{first}
	for _, next := range []seal.Source{passphrase("correct horse battery"),
		passphrase("another long passphrase"), last} {
		if err := k.Reseal(t.Context(), mustLoad(t, next), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := k.Reseal(t.Context(), nil, time.Now()); err != nil { // another root key, the same seal
			t.Fatal(err)
		}
		for _, f := range former {
			fails(t, store, f)
		}
		if by, _ := k.SealedBy(); by != next.Type() {
			t.Errorf("sealed by %s, want %s", by, next.Type())
		}
		if _, err := k.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		for name, k := range map[string]*Keyring{"it": k, "reopened": openRing(t, store, next)} {
			if got, err := k.Open(orgA, foo, sealed); err != nil || string(got) != "bar" ||
				k.Term() != uint32(len(former)+1) {
				t.Errorf("%s, under the %s: %q, %v, term %d", name, next, got, err, k.Term())
			}
		}
		former = append(former, next)
	}
	fails(t, store, first, "wrong", "--seal-key-file")
	fails(t, store, passphrase("correct horse battery"), "key-file", "--seal")
}

func TestResealBesideOthers(t *testing.T) {
	store, f := openBolt(t), newKeyFile(t)
	k, other := openRing(t, store, f), openRing(t, store, f)
	if err := k.Reseal(t.Context(), nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := other.Rotate(t.Context(), time.Now()); err != nil || n != 2 {
		t.Fatalf("by a server that had not heard of the new root key: %d, %v", n, err)
	}
	if err := k.Reload(t.Context()); err != nil || k.Term() != 2 {
		t.Errorf("%v, term %d", err, k.Term())
	}
	if err := k.Reseal(t.Context(), mustLoad(t, passphrase("correct horse battery")), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := other.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("under a seal that the other server does not have: %v", err)
	}
}

// failingOnce is an engine whose next transaction fails.
type failingOnce struct {
	kv.Store
	err error
}

func (f *failingOnce) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if err := f.err; err != nil {
		f.err = nil
		return 0, err
	}
	return f.Store.Txn(ctx, conds, ops)
}

func TestResealFails(t *testing.T) {
	store, f := &failingOnce{Store: openBolt(t)}, newKeyFile(t)
	k := openRing(t, store, f)
	sealed := mustSeal(t, k, orgA, foo, "bar")
	store.err = kv.ErrFull
	next := passphrase("correct horse battery")
	if err := k.Reseal(t.Context(), mustLoad(t, next), time.Now()); !errors.Is(err, kv.ErrFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	if by, _ := k.SealedBy(); by != seal.TypeKeyFile {
		t.Errorf("sealed by %s after a change that failed", by)
	}
	if _, err := openRing(t, store, f).Open(orgA, foo, sealed); err != nil {
		t.Error(err)
	}
	if err := k.Reseal(t.Context(), mustLoad(t, next), time.Now()); err != nil {
		t.Fatal(err)
	}
	fails(t, store, passphrase("correct horse batterz"), "wrong", "passphrase")
}

// TestPassphraseAskedOnce: a new passphrase is asked for as new, and not once more as one that there is.
func TestPassphraseAskedOnce(t *testing.T) {
	store := openBolt(t)
	var asked []bool
	source := seal.Passphrase{From: "test", Ask: func(_ context.Context, fresh bool) ([]byte, error) {
		asked = append(asked, fresh)
		return []byte("correct horse battery"), nil
	}}
	openRing(t, store, source)
	openRing(t, store, source)
	if !slices.Equal(asked, []bool{true, false}) {
		t.Errorf("asked %v, want once as new and once at the next start", asked)
	}
}
