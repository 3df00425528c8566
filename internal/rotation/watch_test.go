package rotation

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
)

// TestLostKey takes the key file away from a server that runs, and puts another one in its place. Health tells it, a
// new root key under the lost one is refused, and one under a new key file saves the data.
func TestLostKey(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	path := filepath.Join(dir, "seal.key")
	keys, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: seal.KeyFile(path)})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s := New(Config{Keyring: keys, Guard: access.NewGuard(unheard{}), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if s.look(t.Context()); s.KeyLost() != "" {
		t.Error(s.KeyLost())
	}
	if _, err := s.Change(t.Context(), operator, Target{}); err != nil {
		t.Errorf("with the key: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, lose := range map[string]func() error{
		"missing":   func() error { return os.Remove(path) },
		"replaced":  func() error { return replace(t, path) },
		"cut short": func() error { return os.WriteFile(path, text[:len(text)-9], 0o600) },
	} {
		_ = os.Remove(path)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s.look(t.Context())
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		s.look(t.Context())
		if s.KeyLost() == "" {
			t.Errorf("%s: not told", what)
		}
		if _, err := s.Change(t.Context(), operator, Target{}); !errs.Is(err, errs.Unprocessable) {
			t.Errorf("%s: a root key under it: %v", what, err)
		}
	}
	if n := strings.Count(log.String(), "the seal's key is lost"); n != 3 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	other, err := seal.KeyFile(filepath.Join(dir, "other.key")).Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Reseal(t.Context(), other, s.Now()); err != nil {
		t.Fatal(err)
	}
	if s.look(t.Context()); s.KeyLost() != "" {
		t.Errorf("under another key: %s", s.KeyLost())
	}
}

// replace puts another key in the place of a key file.
func replace(t *testing.T, path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	_, err := seal.KeyFile(path).Create(t.Context())
	return err
}

// TestRotateByItself seals as much as is to be sealed under one term: the next one begins, and does not begin twice.
func TestRotateByItself(t *testing.T) {
	s, _, store := service(t, nil)
	s.RotateAfter = 10
	if s.count(t.Context()); s.Keyring.Term() != 1 {
		t.Fatal("it began at once")
	}
	for range 12 {
		if _, err := s.Keyring.Seal(org, keyring.Belongs{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s.count(t.Context())
	}
	if s.Keyring.Term() != 2 || s.status().Rotation.State != Running {
		t.Fatalf("term %d, %+v", s.Keyring.Term(), s.status().Rotation)
	}
	if err := s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := secret.Get(t.Context(), store, org, "foo"); err != nil || string(v.Bytes()) != "bar" {
		t.Error(err)
	}
}

// sealSome has a keyring seal so many values.
func sealSome(t *testing.T, k *keyring.Keyring, n int) {
	t.Helper()
	for range n {
		if _, err := k.Seal(org, keyring.Belongs{}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCountOverKills kills servers before they keep their count. No more of it is lost than what was sealed since it
// was kept, which is bounded, so that the next term begins all the same.
func TestCountOverKills(t *testing.T) {
	cluster, key := clustertest.New(), seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	open := func() *Service {
		keys, err := keyring.OpenOrInit(t.Context(), cluster.Server(), keyring.Config{Seal: key})
		if err != nil {
			t.Fatal(err)
		}
		return New(Config{Keyring: keys, Guard: access.NewGuard(unheard{}), RotateAfter: 3 * saveValues,
			Logger: slog.New(slog.DiscardHandler)})
	}
	const more = 7 // than are kept
	for n := range 3 {
		s := open() // which nobody ends
		if want := uint64(n * saveValues); s.Keyring.Sealed() != want {
			t.Fatalf("after %d kills %d are counted, want %d", n, s.Keyring.Sealed(), want)
		}
		s.count(t.Context())
		s.saved = s.Now() // time alone keeps nothing
		sealSome(t, s.Keyring, saveValues)
		if s.count(t.Context()); s.Keyring.Unsaved() != 0 {
			t.Fatalf("%d are not kept", s.Keyring.Unsaved())
		}
		if n == 2 {
			if s.Keyring.Term() != 2 {
				t.Error("the next term has not begun")
			}
			break
		}
		sealSome(t, s.Keyring, more)
		if s.count(t.Context()); s.Keyring.Term() != 1 || s.Keyring.Unsaved() != more {
			t.Fatalf("term %d, %d are not kept", s.Keyring.Term(), s.Keyring.Unsaved())
		}
	}
}

// TestCountOfTwoServers has two servers seal under one key, neither as much as begins the next term: together they do,
// and it begins once.
func TestCountOfTwoServers(t *testing.T) {
	cluster, key := clustertest.New(), seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	open := func() *Service {
		keys, err := keyring.OpenOrInit(t.Context(), cluster.Server(), keyring.Config{Seal: key, Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		return New(Config{Keyring: keys, Guard: access.NewGuard(unheard{}), RotateAfter: 10,
			Logger: slog.New(slog.DiscardHandler)})
	}
	first, second := open(), open()
	sealSome(t, first.Keyring, 6)
	sealSome(t, second.Keyring, 6)
	if first.count(t.Context()); first.Keyring.Term() != 1 {
		t.Fatal("it began after 6 of 10")
	}
	if second.count(t.Context()); second.Keyring.Term() != 2 {
		t.Fatalf("12 are sealed, of which %d are known, and it has not begun", second.Keyring.Sealed())
	}
	third := open()
	if third.Keyring.Term() != 2 || third.Keyring.Sealed() != 0 {
		t.Errorf("who starts now has term %d, and %d", third.Keyring.Term(), third.Keyring.Sealed())
	}
	for range 2 {
		first.count(t.Context())
		second.count(t.Context())
	}
	if third = open(); third.Keyring.Term() != 2 {
		t.Errorf("it began twice: term %d", third.Keyring.Term())
	}
}
