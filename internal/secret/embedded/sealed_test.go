package embedded

import (
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
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

// onto puts another engine below the store.
func onto(s *Store, db kv.Store) {
	s.kv, s.from.KV, s.log = db, db, commitlog.New(db, nil, s.ring)
}

func keyFile(t testing.TB) seal.KeyFile { return seal.KeyFile(filepath.Join(t.TempDir(), "seal.key")) }

// form is a form of the names, and how the data come to it.
type form struct {
	name string
	// begin has what is there, and what comes, in the form.
	begin func(t testing.TB, s *Store)
}

var (
	inClear = form{"clear", func(testing.TB, *Store) {}}
	inSeal  = form{"sealed", func(t testing.TB, s *Store) {
		sealNames(t, s, true)
		rewriteAll(t, s)
	}}
	beingSealed   = form{"being sealed", func(t testing.TB, s *Store) { sealNames(t, s, true) }}
	beingUnsealed = form{"being unsealed", func(t testing.TB, s *Store) {
		inSeal.begin(t, s)
		sealNames(t, s, false)
	}}
	beingRotated = form{"being rotated", func(t testing.TB, s *Store) {
		inSeal.begin(t, s)
		if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}}

	forms = []form{inClear, inSeal, beingSealed, beingUnsealed, beingRotated}
)

func sealNames(t testing.TB, s *Store, on bool) {
	t.Helper()
	if begun, err := s.ring.SealNames(t.Context(), on); err != nil || !begun {
		t.Fatal(begun, err)
	}
}

func rewriteAll(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.Rewrite(t.Context(), ignore); err != nil {
		t.Fatal(err)
	}
}

// eachForm runs a test on an empty store in each form.
func eachForm(t *testing.T, test func(t *testing.T, s *Store)) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s := newStore(t, openKV(t), keyFile(t))
			f.begin(t, s)
			test(t, s)
		})
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal, beingRotated} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			secrettest.Test(t, func(t *testing.T) secret.Store {
				s := newStore(t, openKV(t), keyFile(t))
				f.begin(t, s)
				return s
			})
			secrettest.TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
				db, key := openKV(t), keyFile(t)
				s := newStore(t, db, key)
				f.begin(t, s)
				other := newStore(t, db, key)
				s.far, other.far = true, true // as where there are two servers
				return s, other
			})
		})
	}
}

// TestSuiteSmallPages lists in pages smaller than the lists: of names in clear only where the race detector
// does not make it slow.
func TestSuiteSmallPages(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inSeal, inClear} {
		if f.name == inClear.name && raceDetector {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			secrettest.Test(t, func(t *testing.T) secret.Store {
				s := newStore(t, openKV(t), keyFile(t))
				f.begin(t, s)
				s.page, s.far = 150, true
				return s
			})
		})
	}
}

// keyOf is the key of a secret's record as the store puts it.
func keyOf(t testing.TB, s *Store, org id.ID, name string, kind records.Kind) string {
	t.Helper()
	at, err := s.from.Places(org, name, s.ring.Names())
	if err != nil {
		t.Fatal(err)
	}
	return at.Now.Slot(kind).Key
}
