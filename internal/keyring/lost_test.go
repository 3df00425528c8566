package keyring

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/seal"
)

// TestLostAnswers loses the answer to each change of the keys and the seal, or the caller with it: the change has
// happened, so that is what is told, what memory says, and what the next start finds.
func TestLostAnswers(t *testing.T) {
	other := newKeyFile(t)
	otherSeal, err := other.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]struct {
		do   func(ctx context.Context, k *Keyring) error
		by   seal.Source // what opens the data afterwards; nil is what did before
		done func(k *Keyring) bool
	}{
		"another seal": {func(ctx context.Context, k *Keyring) error {
			return k.Reseal(ctx, otherSeal, time.Now())
		}, other,
			func(k *Keyring) bool { _, keyID := k.SealedBy(); return keyID == otherSeal.KeyID() }},
		"another root key": {func(ctx context.Context, k *Keyring) error {
			return k.Reseal(ctx, nil, time.Unix(1, 0))
		}, nil,
			func(k *Keyring) bool { return k.RootSince().Equal(time.Unix(1, 0)) }},
		"a rotation": {func(ctx context.Context, k *Keyring) error {
			_, err := k.Rotate(ctx, time.Now())
			return err
		}, nil,
			func(k *Keyring) bool { return k.Term() == 3 }},
		"the end of a rotation": {func(ctx context.Context, k *Keyring) error { return k.Retire(ctx, 2) }, nil,
			func(k *Keyring) bool { return len(k.Terms()) == 1 }},
	} {
		for way, leaves := range map[string]bool{"the answer": false, "the caller": true} {
			t.Run(name+", "+way, func(t *testing.T) {
				lossy, f := clustertest.New().Server(), newKeyFile(t)
				k := openRing(t, lossy, f)
				if _, err := k.Rotate(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				sealed := mustSeal(t, k, orgA, foo, "bar")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				lossy.Lose(1, func() {
					if leaves {
						cancel()
					}
				})
				if err := change.do(ctx, k); err != nil || !lossy.Lost() {
					t.Fatalf("told as failed: %v", err)
				}
				by := change.by
				if by == nil {
					by = f
				}
				for where, k := range map[string]*Keyring{"in memory": k, "after a restart": openRing(t, lossy, by)} {
					if !change.done(k) {
						t.Errorf("%s: it has not happened", where)
					}
					if got, err := k.Open(orgA, foo, sealed); err != nil || string(got) != "bar" {
						t.Errorf("%s: %q, %v", where, got, err)
					}
				}
			})
		}
	}
}

// TestLostNames is the same for the form of names.
func TestLostNames(t *testing.T) {
	lossy, f := clustertest.New().Server(), newKeyFile(t)
	k := openRing(t, lossy, f)
	for step, do := range []func(ctx context.Context) error{
		func(ctx context.Context) error { _, err := k.SealNames(ctx, true); return err },
		func(ctx context.Context) error { return k.NamesMoved(ctx, 1) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		lossy.Lose(1, cancel)
		if err := do(ctx); err != nil || !lossy.Lost() {
			t.Errorf("step %d: told as failed: %v", step, err)
		}
		if again := openRing(t, lossy, f); again.Names() != k.Names() {
			t.Errorf("step %d: memory says %+v, the data %+v", step, k.Names(), again.Names())
		}
	}
}

// TestLostFirstStart loses the answer to the transaction that makes the keyring.
func TestLostFirstStart(t *testing.T) {
	lossy, f := clustertest.New().Server(), newKeyFile(t)
	lossy.Lose(1, nil)
	k := openRing(t, lossy, f)
	if again := openRing(t, lossy, f); again.StoreID() != k.StoreID() || !lossy.Lost() {
		t.Error("two first starts")
	}
}

// failedSync carries out a transaction and fails as an engine does whose last sync failed: nobody
// knows what is on disk.
type failedSync struct {
	kv.Store
	fails bool
}

func (f *failedSync) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := f.Store.Txn(ctx, conds, ops)
	if err == nil && f.fails {
		return 0, kv.ErrFault
	}
	return rev, err
}

// TestUnknownOutcome changes the seal on a disk that fails in that moment: the error says that it is not known, and
// memory is as what can be read says, so that nobody is told that the old key is the one to keep.
func TestUnknownOutcome(t *testing.T) {
	store, f, other := &failedSync{Store: openBolt(t)}, newKeyFile(t), newKeyFile(t)
	k := openRing(t, store, f)
	next, err := other.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store.fails = true
	if err := k.Reseal(t.Context(), next, time.Now()); !errors.Is(err, kv.ErrUnknown) {
		t.Errorf("%v, want %v", err, kv.ErrUnknown)
	}
	if _, keyID := k.SealedBy(); keyID != next.KeyID() {
		t.Error("memory names the former key, and what can be read is sealed by the new one")
	}
}
