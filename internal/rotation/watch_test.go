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
