package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/copying"
)

func TestBackup(t *testing.T) {
	db := openNew(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Backup(ended, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup with an ended context: %v", err)
	}
	broken := errors.New("broken pipe")
	if err := db.Backup(t.Context(), failingWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("Backup to a writer that fails: %v", err)
	}

	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", []byte("1"))}); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := db.Backup(t.Context(), &copied); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", []byte("2"))}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	rec, err := openAt(t, path).Get(t.Context(), "a")
	if err != nil || string(rec.Value) != "1" {
		t.Errorf("the copy has %q, %v; want what was there when it was made", rec.Value, err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// stopped is a reader that takes the first piece, tells, and no more until it is let go.
type stopped struct {
	bytes.Buffer
	taken, goOn chan struct{}
}

func newStopped() *stopped { return &stopped{taken: make(chan struct{}), goOn: make(chan struct{})} }

func (s *stopped) Write(p []byte) (int, error) {
	if s.Len() == 0 {
		close(s.taken)
		<-s.goOn
	}
	return s.Buffer.Write(p)
}

// TestSlowBackup has a backup wait for its reader: others write as before, the file does not grow for it, and the
// reader has the moment at which it began.
func TestSlowBackup(t *testing.T) {
	db := openNew(t)
	put := func(n int) {
		t.Helper()
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("n", fmt.Append(nil, n)),
			kv.Put("large", make([]byte, 200_000))}); err != nil {
			t.Fatal(err)
		}
	}
	put(0)
	to, done := newStopped(), make(chan error)
	go func() { done <- db.Backup(t.Context(), to) }()
	<-to.taken
	for n := range 100 {
		put(n + 1)
	}
	info, err := os.Stat(db.path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 18<<20 { // of which 16 MiB is how bbolt grows
		t.Errorf("the file has grown to %d bytes", info.Size())
	}
	if names, err := os.ReadDir(filepath.Dir(db.path)); err != nil || len(names) != 2 { // the file and its .pid
		t.Errorf("beside the file there are %v, %v", names, err)
	}
	close(to.goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, to.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if rec, err := openAt(t, path).Get(t.Context(), "n"); err != nil || string(rec.Value) != "0" {
		t.Errorf("the copy has %q, %v", rec.Value, err)
	}
}

// TestBackupWithoutRoom reads the file itself: quickly, or not to the end.
func TestBackupWithoutRoom(t *testing.T) {
	db := openNew(t)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("large", make([]byte, 200_000))}); err != nil {
		t.Fatal(err)
	}
	db.room = func(*os.File) (int64, error) { return copying.Reserve, nil }
	var b bytes.Buffer
	if err := db.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	openAt(t, path)
	db.directTime = time.Millisecond
	to, done := newStopped(), make(chan error)
	go func() { done <- db.Backup(t.Context(), to) }()
	<-to.taken
	time.Sleep(10 * db.directTime)
	close(to.goOn)
	if err := <-done; !errors.Is(err, copying.ErrNoRoom) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("a slow one: %v", err)
	}
}

func TestTooManyBackups(t *testing.T) {
	db := openNew(t)
	done := make(chan error)
	var readers []*stopped
	for range maxCopies {
		to := newStopped()
		readers = append(readers, to)
		go func() { done <- db.Backup(t.Context(), to) }()
		<-to.taken
	}
	if err := db.Backup(t.Context(), &bytes.Buffer{}); !errors.Is(err, kv.ErrManyBackups) {
		t.Errorf("one more: %v", err)
	}
	for _, to := range readers {
		close(to.goOn)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := db.Backup(t.Context(), &bytes.Buffer{}); err != nil {
		t.Errorf("when the others have ended: %v", err)
	}
}
