package embedded

import (
	"context"
	"errors"
	"sync"
	"testing"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// looking calls once what is to happen before the head is read next.
type looking struct {
	kv.Store
	before func()
	once   sync.Once
}

func (l *looking) Get(ctx context.Context, key string) (kv.Record, error) {
	if key == records.Head(org) {
		l.once.Do(l.before)
	}
	return l.Store.Get(ctx, key)
}

// readers are the reads of a secret that is there with two versions, beside one that is deleted.
var readers = map[string]func(context.Context, *Store) error{
	"its value": func(ctx context.Context, s *Store) error {
		_, err := secret.Get(ctx, s, org, "there")
		return err
	},
	"all values": func(ctx context.Context, s *Store) error {
		snap, err := s.Read(ctx, org, secret.Query{})
		if err == nil && len(snap.Secrets) != 1 {
			err = errors.New("it is not among them")
		}
		return err
	},
	"a version": func(ctx context.Context, s *Store) error {
		_, err := s.ReadVersion(ctx, org, "there", 1)
		return err
	},
	"what is known of it": func(ctx context.Context, s *Store) error {
		_, err := s.Info(ctx, org, "there")
		return err
	},
	"what is known of all": func(ctx context.Context, s *Store) error {
		infos, err := s.Infos(ctx, org, secret.Page{})
		if err == nil && len(infos) != 1 {
			err = errors.New("it is not among them")
		}
		return err
	},
	"what is deleted": func(ctx context.Context, s *Store) error {
		infos, err := s.Deleted(ctx, org, secret.Page{})
		if err == nil && len(infos) != 1 {
			err = errors.New("it is not among them")
		}
		return err
	},
}

func fillTwo(t *testing.T, s *Store) {
	t.Helper()
	apply(t, s, secret.Change{Set: setOf("there", "1", "gone", "1")})
	apply(t, s, secret.Change{Set: setOf("there", "2"), Delete: []string{"gone"}})
}

// TestReadWhileMoved has names go to another form, wholly or as far as each of the transactions, between the moment in
// which a reader looks which form they are in and that in which he reads the first record.
func TestReadWhileMoved(t *testing.T) {
	t.Parallel()
	for what, read := range readers {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, left := range []int{1, 2, 3, 4, 100} {
				db := openKV(t)
				s := newStore(t, db, keyFile(t))
				fillTwo(t, s)
				l := &looking{Store: db}
				l.before = func() {
					sealNames(t, s, true)
					names := s.ring.Names()
					mover := New(Config{KV: &crashing{Store: db, left: left, carriedOut: true}, Keyring: s.ring,
						History: 10})
					if _, err := mover.Rewrite(t.Context(), ignore); err != nil && !errors.Is(err, errCrash) {
						t.Error(err)
					}
					if names == s.ring.Names() && left == 100 {
						t.Error("the move has not ended")
					}
				}
				onto(s, l)
				if err := read(t.Context(), s); err != nil {
					t.Errorf("after %d transactions: %v", left, err)
				}
			}
		})
	}
}

// TestBehindOnNames has another server bring the names to another form, of which this one does not hear.
func TestBehindOnNames(t *testing.T) {
	t.Parallel()
	both := func(t *testing.T) (s, other *Store) {
		c, key := clustertest.New(), keyFile(t)
		open := func() *Store {
			db := kv.Settled(clustertest.Once{Server: c.Server()})
			ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: key, Shared: true})
			if err != nil {
				t.Fatal(err)
			}
			return New(Config{KV: db, Keyring: ring, History: 10})
		}
		s, other = open(), open()
		fillTwo(t, s)
		sealNames(t, other, true)
		rewriteAll(t, other)
		return s, other
	}
	for what, read := range readers {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, _ := both(t)
			if err := read(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a deletion", func(t *testing.T) {
		t.Parallel()
		s, other := both(t)
		apply(t, s, secret.Change{Delete: []string{"there"}})
		if keys, err := other.Keys(t.Context(), org); err != nil || len(keys) > 0 {
			t.Errorf("it was answered, and is there: %q, %v", keys, err)
		}
	})
	t.Run("a restore", func(t *testing.T) {
		t.Parallel()
		s, _ := both(t)
		if _, err := s.Restore(t.Context(), org, "gone", 0, "ann"); err != nil {
			t.Error(err)
		}
	})
}
