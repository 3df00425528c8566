package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// goldenKey is the frozen key; a file with it, and what it wrapped, must open for ever.
const (
	goldenLine = keyPrefix + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	goldenID   = "48ae1fd7b940a1a5"
)

func writeFile(t *testing.T, text string, mode os.FileMode) KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return KeyFile(path)
}

func TestLoadRefuses(t *testing.T) {
	short := keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, 31))
	long := keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, 33))
	for name, text := range map[string]string{
		"empty":             "",
		"only a comment":    keyComment,
		"other text":        "hello",
		"no prefix":         strings.TrimPrefix(goldenLine, keyPrefix),
		"a newer form":      strings.Replace(goldenLine, "key-1", "key-2", 1),
		"not base64":        keyPrefix + "!!!!",
		"no key":            keyPrefix,
		"a short key":       short,
		"a long key":        long,
		"loose base64 bits": strings.Replace(goldenLine, "Hh8=", "Hh9=", 1),
		"two keys":          goldenLine + "\n" + goldenLine,
		"more text":         goldenLine + "\nx",
		"a long file":       goldenLine + "\n#" + strings.Repeat("x", maxKeyFile),
	} {
		f := writeFile(t, text, 0o600)
		_, err := f.Load(t.Context())
		if err == nil || !strings.Contains(err.Error(), "has not the form") || !strings.Contains(err.Error(),
			string(f)) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, key, found := strings.Cut(text, keyPrefix); found && len(key) > 10 &&
			strings.Contains(err.Error(), key[:10]) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660, 0o610, 0o666} {
		f := writeFile(t, goldenLine, mode)
		if _, err := f.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 600 "+string(f)) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	missing := KeyFile(filepath.Join(t.TempDir(), "none"))
	if _, err := missing.Load(t.Context()); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(),
		string(missing)) {
		t.Errorf("a missing file: %v", err)
	}
	folder := KeyFile(t.TempDir())
	if _, err := folder.Load(t.Context()); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("a folder: %v", err)
	}
	fifo := KeyFile(filepath.Join(t.TempDir(), "fifo"))
	if err := syscall.Mkfifo(string(fifo), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fifo.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a named pipe: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	f := writeFile(t, "something", 0o644)
	if _, err := f.Create(t.Context()); !errors.Is(err, ErrKeyExists) {
		t.Errorf("over a file: %v", err)
	}
	if b, _ := os.ReadFile(string(f)); string(b) != "something" {
		t.Errorf("the file that was there is now %q", b)
	}
	dangling := KeyFile(filepath.Join(t.TempDir(), "link"))
	if err := os.Symlink("/nowhere/at/all", string(dangling)); err != nil {
		t.Fatal(err)
	}
	if _, err := dangling.Create(t.Context()); !errors.Is(err, ErrKeyExists) {
		t.Errorf("over a link to nothing: %v", err)
	}
	inFile := KeyFile(filepath.Join(string(f), "seal.key"))
	if _, err := inFile.Create(t.Context()); err == nil {
		t.Error("a file for a folder was taken")
	}
}

func TestCreateAndLoad(t *testing.T) {
	f := KeyFile(filepath.Join(t.TempDir(), "new", "folder", "seal.key"))
	made, err := f.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(string(f))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(string(f))); err != nil || len(entries) != 1 {
		t.Errorf("beside the key there is something: %v, %v", entries, err)
	}
	text, _ := os.ReadFile(string(f))
	if !bytes.HasPrefix(text, []byte("# Strongroom's seal key.")) {
		t.Errorf("the file does not say what it is: %.30q", text)
	}
	link := KeyFile(filepath.Join(t.TempDir(), "link"))
	if err := os.Symlink(string(f), string(link)); err != nil {
		t.Fatal(err)
	}
	blob, err := made.Wrap(t.Context(), []byte("root key"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []KeyFile{f, link} {
		loaded, err := f.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if loaded.KeyID() != made.KeyID() || loaded.Type() != TypeKeyFile {
			t.Errorf("loaded %s %s, made %s", loaded.Type(), loaded.KeyID(), made.KeyID())
		}
		if got, err := loaded.Unwrap(t.Context(), blob, []byte("aad")); err != nil || string(got) != "root key" {
			t.Errorf("Unwrap: %q, %v", got, err)
		}
	}
}

// A process that is killed while it makes the key leaves the key under a second name.
func TestLoadRemovesTheTemporaryName(t *testing.T) {
	f := KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	if _, err := f.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, other := string(f)+".new-1", string(f)+".new-2"
	if err := os.Link(string(f), left); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte("of another process"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the key is still there under its temporary name: %v", err)
	}
	for _, path := range []string{string(f), other} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is gone: %v", path, err)
		}
	}
}

func TestConcurrentCreate(t *testing.T) {
	f := KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := f.Create(t.Context())
			if err == nil {
				ids[i] = s.KeyID()
			} else if !errors.Is(err, ErrKeyExists) {
				t.Errorf("Create: %v", err)
			}
		})
	}
	wg.Wait()
	s, err := f.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ids, ""); got != s.KeyID() {
		t.Errorf("made %q, and the file holds %q", got, s.KeyID())
	}
}

// TestGolden opens what an earlier version wrapped.
func TestGolden(t *testing.T) {
	s, err := KeyFile(writeFile(t, "# a comment\n\n  "+goldenLine+"  \r\n\n", 0o400)).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.KeyID() != goldenID {
		t.Errorf("the key's ID is %s, was %s", s.KeyID(), goldenID)
	}
	blob, err := base64.StdEncoding.DecodeString(goldenBlob)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Unwrap(t.Context(), blob, []byte("strongroom")); err != nil || string(got) != "golden" {
		t.Errorf("Unwrap: %q, %v", got, err)
	}
}

// goldenBlob is "golden", wrapped for "strongroom" by the first version.
const goldenBlob = "AZo55O+OYuIK2XCjChR3e8+K8BicMT35uPezt8qwrJENN6A="
