package bolt

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/format"
)

// influxdbFile is a database made by a real InfluxDB.
const influxdbFile = "testdata/influxdb-2.0.0-beta.11.bolt.gz"

// refused opens the path, which must fail with all of the words, and leave what is there as it was.
func refused(t *testing.T, path string, words ...string) {
	t.Helper()
	before, statErr := os.Stat(path)
	content, _ := os.ReadFile(path)
	db, err := Open(path, Options{})
	if err == nil {
		db.Close()
		t.Fatalf("%s was opened", path)
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if statErr != nil {
		return
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	now, _ := os.ReadFile(path)
	if !bytes.Equal(content, now) || !before.ModTime().Equal(after.ModTime()) || before.Mode() != after.Mode() {
		t.Errorf("the refused file was changed")
	}
	if _, err := os.Stat(path + ".pid"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the refused file has a .pid beside it: %v", err)
	}
}

// writeOld writes a file and sets its time back, so that a write shows.
func writeOld(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return path
}

// boltFile is the content of a bbolt file made by f.
func boltFile(t *testing.T, f func(*bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(f); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ours is the content of one of our files, changed by f.
func ours(t *testing.T, f func(*bbolt.Tx) error) []byte {
	t.Helper()
	db := openNew(t)
	for i := range 50 {
		if _, err := db.Txn(t.Context(), nil,
			[]kv.Op{kv.Put(fmt.Sprintf("key-%d", i), make([]byte, 1000))}); err != nil {
			t.Fatal(err)
		}
	}
	if f != nil {
		if err := db.bolt.Update(f); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer // without the room the file keeps for growing
	if err := db.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRefuseInfluxDB(t *testing.T) {
	packed, err := os.Open(influxdbFile)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	real, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, writeOld(t, real), "real InfluxDB", "left untouched", "--bolt-path")
	for _, name := range format.InfluxBuckets {
		b := boltFile(t, func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte(name))
			return err
		})
		refused(t, writeOld(t, b), "real InfluxDB", "left untouched", "--bolt-path")
	}
}

func TestRefuseForeign(t *testing.T) {
	b := boltFile(t, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	})
	refused(t, writeOld(t, b), "another program", "left untouched")
	refused(t, writeOld(t, []byte("hello\n")), "not a database", "left untouched")
	refused(t, writeOld(t, bytes.Repeat([]byte("hello\n"), 20_000)), "not a database")
	refused(t, writeOld(t, make([]byte, 64<<10)), "not a database")
	refused(t, t.TempDir(), "it is a folder")

	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fifo, Options{}); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a named pipe: %v", err)
	}
	below := filepath.Join(writeOld(t, []byte("a file")), "influxd.bolt")
	if _, err := Open(below, Options{}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file for a folder: %v", err)
	}
}

func TestRefuseNewerAndDamagedMarker(t *testing.T) {
	t.Parallel()
	marker := func(s string) []byte {
		return ours(t, func(tx *bbolt.Tx) error {
			return tx.Bucket(format.MetaBucket).Put(format.FormatKey, []byte(s))
		})
	}
	refused(t, writeOld(t, marker("strongroom 2")), "newer influxd", "format 2")
	for _, s := range []string{"", "strongroom", "strongroom x", "strongroom 0", "vault 1"} {
		refused(t, writeOld(t, marker(s)), "format marker")
	}
	refused(t, writeOld(t, ours(t, func(tx *bbolt.Tx) error {
		return tx.DeleteBucket(format.DataBucket)
	})), "format marker")
	refused(t, writeOld(t, ours(t, func(tx *bbolt.Tx) error {
		return tx.Bucket(format.MetaBucket).Delete(format.RevisionKey)
	})), "revision")
}

// TestRefuseTruncated cuts a file at every page and inside pages. The cut is found when the file is opened; reading on
// would end in a memory fault some time later.
func TestRefuseTruncated(t *testing.T) {
	t.Parallel()
	whole := ours(t, nil)
	page := os.Getpagesize()
	for n := 1; n < len(whole); n += page / 2 {
		refused(t, writeOld(t, whole[:n]))
	}
	refused(t, writeOld(t, whole[:len(whole)-1]), "cut off")
	openAt(t, writeOld(t, whole))
}

// TestDamagedPages writes over one page after another: opening or reading may fail, and never ends the process.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	whole := ours(t, nil)
	page := os.Getpagesize()
	for n := 0; n+page <= len(whole) && n < 40*page; n += page {
		for _, fill := range []byte{0x00, 0xff} {
			b := bytes.Clone(whole)
			copy(b[n:n+page], bytes.Repeat([]byte{fill}, page))
			db, err := Open(writeOld(t, b), Options{})
			if err != nil {
				continue
			}
			db.List(t.Context(), "", "", 1000)
			db.Get(t.Context(), "key-7")
			db.Txn(t.Context(), nil, []kv.Op{kv.Put("key-7", []byte("x")), kv.Delete("key-30")})
			if err := guard(db.Close); err != nil {
				t.Logf("page %d: %v", n/page, err)
			}
		}
	}
}

func TestEmptyFileIsNew(t *testing.T) {
	path := writeOld(t, nil)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	// So is one in which a killed first start has made no bucket yet.
	openAt(t, writeOld(t, boltFile(t, func(*bbolt.Tx) error { return nil })))
}

func TestInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db := openAt(t, path)
	// The lock is the process's own, but flock's locks belong to open files, so that one process can try both sides.
	_, err := Open(path, Options{})
	if want := fmt.Sprintf("in use by another influxd (process %d)", os.Getpid()); err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("a second Open: %v, want %q", err, want)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
		t.Errorf("after a second Open: %v", err)
	}
	// Another program's lock, with the note of a process that has ended.
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, note := range []string{fmt.Sprint(ended.Process.Pid), "x"} {
		if err := os.WriteFile(path+".pid", []byte(note), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("with the note %q: %v", note, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".pid"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close has left the note: %v", err)
	}
	openAt(t, path)
}

// TestBesideLink opens a file by a link. What is made beside the file is in its own folder, under its own name, where
// what a killed process has left is looked for.
func TestBesideLink(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]bool{"of a file": false, "of what is not there yet": true} {
		links, files := filepath.Join(t.TempDir(), "links"), t.TempDir()
		link, place := filepath.Join(links, "link.bolt"), filepath.Join(files, "influxd.bolt")
		if err := errors.Join(os.Mkdir(links, 0o700), os.Symlink(place, link)); err != nil {
			t.Fatal(err)
		}
		if !fresh {
			if err := openAt(t, place).Close(); err != nil {
				t.Fatal(err)
			}
		}
		db := openAt(t, link)
		want := fmt.Sprintf("in use by another influxd (process %d)", os.Getpid())
		for _, path := range []string{link, place} {
			if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a link %s: a second Open of %s: %v, want %q", name, path, err, want)
			}
		}
		if there, err := os.ReadDir(links); err != nil || len(there) != 1 {
			t.Errorf("a link %s: beside it: %v, %v", name, there, err)
		}
		if _, err := os.Stat(place + ".pid"); err != nil {
			t.Errorf("a link %s: no note beside the file: %v", name, err)
		}
		if err := os.Rename(links, links+".aside"); err != nil {
			t.Fatal(err)
		}
		if copied, err := db.copyBeside(t.Context()); err != nil {
			t.Errorf("a link %s: a copy: %v", name, err)
		} else {
			copied.Close()
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if there, err := os.ReadDir(files); err != nil || len(there) != 1 {
			t.Errorf("a link %s: left beside the file: %v, %v", name, there, err)
		}
	}
}

func TestReadOnlyFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write any file")
	}
	path := writeOld(t, ours(t, nil))
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	refused(t, path, "permission denied")
}
