package tempdir

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	held, remove, err := New("backup")
	if err != nil {
		t.Fatal(err)
	}
	in := os.TempDir()
	left := func(name string, mode os.FileMode, age time.Duration) string {
		path := filepath.Join(in, name)
		if err := os.MkdirAll(filepath.Join(path, "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "deep", "file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stays := []string{held, left("strongroom-backup-2", 0o700, 0), left("strongroom-backup-of-mine", 0o700, time.Hour),
		left("strongroom-backup-3", 0o755, time.Hour)}
	link := filepath.Join(in, "strongroom-backup-4")
	if err := os.Symlink(stays[2], link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(in, "strongroom-backup-5")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	stays = append(stays, link, file, filepath.Join(stays[2], "deep", "file"))
	goes := left("strongroom-backup-1", 0o700, time.Hour)
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(held, then, then); err != nil {
		t.Fatal(err)
	}
	_, second, err := New("backup")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stays {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("what is not left behind has gone: %v", err)
		}
	}
	if _, err := os.Lstat(goes); !os.IsNotExist(err) {
		t.Errorf("what a killed program left: %v", err)
	}
	for _, remove := range []func() error{remove, second} {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(held); !os.IsNotExist(err) {
		t.Errorf("what was removed: %v", err)
	}
	t.Setenv("TMPDIR", filepath.Join(in, "none"))
	if _, _, err := New("backup"); err == nil {
		t.Error("a folder is made where there is none for it")
	}
}
