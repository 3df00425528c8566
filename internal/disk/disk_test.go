package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// eachWay runs the test with hard links, and as where there are none.
func eachWay(t *testing.T, f func(t *testing.T, dir string)) {
	t.Run("links", func(t *testing.T) { f(t, t.TempDir()) })
	t.Run("no links", func(t *testing.T) {
		defer func() { link = os.Link }()
		link = func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} }
		f(t, t.TempDir())
	})
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// has checks what is in a folder: names and content.
func has(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Name()+"="+string(b))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("there are %v, want %v", got, want)
	}
}

func TestPutNew(t *testing.T) {
	eachWay(t, func(t *testing.T, dir string) {
		file, name := write(t, filepath.Join(dir, "file"), "1"), filepath.Join(dir, "name")
		if err := PutNew(filepath.Join(dir, "none"), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
		has(t, dir, "file=1")
		if err := PutNew(file, name); err != nil {
			t.Fatal(err)
		}
		has(t, dir, "name=1")
		if err := PutNew(write(t, file, "2"), name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a name that is taken: %v", err)
		}
		has(t, dir, "file=2", "name=1")
	})
}

func TestReplace(t *testing.T) {
	eachWay(t, func(t *testing.T, dir string) {
		place, file, aside := filepath.Join(dir, "place"), write(t, filepath.Join(dir, "file"), "2"),
			filepath.Join(dir, "aside")
		if err := Replace(place, file, aside); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nothing to replace: %v", err)
		}
		has(t, dir, "file=2")
		write(t, place, "1")
		if err := Replace(place, filepath.Join(dir, "none"), aside); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nothing to put there: %v", err)
		}
		has(t, dir, "file=2", "place=1")
		if err := Replace(place, file, aside); err != nil {
			t.Fatal(err)
		}
		has(t, dir, "aside=1", "place=2")
		if err := Replace(place, write(t, file, "3"), aside); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a name aside that is taken: %v", err)
		}
		has(t, dir, "aside=1", "file=3", "place=2")
	})
}

func TestSyncFolder(t *testing.T) {
	if err := SyncFolder(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := SyncFolder("/proc/self"); err != nil { // which has no sync
		t.Error(err)
	}
	if err := SyncFolder(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
