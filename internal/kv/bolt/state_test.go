package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"strongroom/internal/kv"
)

// TestLostFile takes the file away from below an open store, and puts another in its place: nothing is acknowledged
// that would go with the process, reading goes on, and so does writing when the file is back.
func TestLostFile(t *testing.T) {
	for name, lose := range map[string]func(path, aside string) error{
		"renamed": os.Rename,
		"its folder renamed": func(path, aside string) error {
			return os.Rename(filepath.Dir(path), filepath.Dir(path)+".aside")
		},
		"replaced": func(path, aside string) error {
			if err := os.Rename(path, aside); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			aside := db.path + ".aside"
			put := func() error {
				_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", []byte("1"))})
				return err
			}
			if err := errors.Join(put(), db.Health(), lose(db.path, aside)); err != nil {
				t.Fatal(err)
			}
			if err := put(); !errors.Is(err, kv.ErrFault) || !strings.Contains(err.Error(), "the data file was re") {
				t.Errorf("a write: %v", err)
			}
			if err := db.Health(); !errors.Is(err, kv.ErrFault) || strings.Contains(err.Error(), db.path) {
				t.Errorf("the health: %v", err)
			}
			if _, err := db.List(t.Context(), "a", "", 1); err != nil {
				t.Errorf("a read: %v", err)
			}
			os.Rename(filepath.Dir(db.path)+".aside", filepath.Dir(db.path))
			os.Rename(aside, db.path)
			if err := errors.Join(put(), db.Health()); err != nil {
				t.Errorf("when it is back: %v", err)
			}
		})
	}
	t.Run("during a commit", func(t *testing.T) {
		db := openNew(t)
		db.update = func(f func(*bbolt.Tx) error) error {
			return errors.Join(db.bolt.Update(f), os.Remove(db.path))
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); !errors.Is(err, kv.ErrFault) {
			t.Errorf("a write: %v", err)
		}
	})
}

func TestHealth(t *testing.T) {
	db := openNew(t)
	db.room = func(*os.File) (int64, error) { return writeRoom - 1, nil }
	if err := db.Health(); !errors.Is(err, kv.ErrFull) {
		t.Errorf("with hardly any room: %v", err)
	}
	db.room = func(*os.File) (int64, error) { return 0, errors.ErrUnsupported }
	put := func() error {
		_, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", []byte("1"))})
		return err
	}
	failing(db, os.ErrInvalid, false, 1)
	if err := put(); !errors.Is(err, kv.ErrFault) || db.Health() != nil {
		t.Errorf("after a fault that has left nothing: %v, %v", err, db.Health())
	}
	failing(db, syscall.ENOSPC, false, 1)
	if err := put(); !errors.Is(err, kv.ErrFull) || !errors.Is(db.Health(), kv.ErrFull) {
		t.Errorf("without room: %v, %v", err, db.Health())
	}
	if err := errors.Join(put(), db.Health()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	failing(db, os.ErrInvalid, true, 1)
	if err := put(); !errors.Is(err, kv.ErrFault) || !errors.Is(db.Health(), errFailed) {
		t.Errorf("after a sync that has failed: %v, %v", err, db.Health())
	}
}

// TestHold keeps off a file that is open, whatever was removed of it, and others from one that is held.
func TestHold(t *testing.T) {
	for _, lost := range []string{"", "influxd.bolt", "influxd.bolt.pid", "*", "replaced"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "influxd.bolt")
		db, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if lost == "replaced" {
			err := errors.Join(os.Rename(path, path+".aside"), os.WriteFile(path, nil, 0o600))
			if err != nil {
				t.Fatal(err)
			}
		} else if lost != "" {
			names, err := filepath.Glob(filepath.Join(dir, lost))
			if err != nil || len(names) == 0 {
				t.Fatal(err, names)
			}
			for _, n := range names {
				if err := os.Remove(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := Hold(path); !errors.Is(err, ErrInUse) {
			t.Errorf("open, without %q: %v", lost, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		left := []string{path + ".restore-123", path + ".restore-123.pid", path + ".copy-5", path + ".pid-67"}
		other := path + ".restore-notes"
		for _, name := range append(left, other) {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		release, err := Hold(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "restored") {
			t.Errorf("open while it is held: %v", err)
		}
		if _, err := Hold(path); !errors.Is(err, ErrInUse) {
			t.Errorf("held twice: %v", err)
		}
		for _, name := range left {
			if _, err := os.Stat(name); err == nil {
				t.Errorf("%s of a killed process is left", name)
			}
		}
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
		if err := release(); err != nil {
			t.Fatal(err)
		}
		openAt(t, path)
	}
}
