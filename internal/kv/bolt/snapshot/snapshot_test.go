package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"strongroom/internal/boltfile"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/bolt/format"
)

func TestReadRefuses(t *testing.T) {
	if _, _, err := Read(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	b, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(t.Context(), foreign); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("a file without a bucket: %v", err)
	}
	if err := b.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, _, err := Read(t.Context(), foreign); err == nil || !strings.Contains(err.Error(), "of another program") {
		t.Errorf("another program's: %v", err)
	}
	if _, _, err := Read(t.Context(), written(t, bytes.Repeat([]byte("text\n"), 4000))); err == nil {
		t.Error("a text was read")
	}
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db := openAt(t, path)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Read(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	s, _, err := Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err == nil {
		t.Error("a snapshot took a transaction")
	}
}

// TestReadTellsDamage damages each page of a file: everything is read, or the damage is told.
func TestReadTellsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		var ops []kv.Op
		for j := range 20 {
			ops = append(ops, kv.Put(fmt.Sprintf("k/%d/%d", i, j), bytes.Repeat([]byte("v"), 100*j)))
		}
		if _, err := db.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := boltfile.Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	pages := int(file.Meta().Pages)
	whole = whole[:pages*os.Getpagesize()] // bbolt makes the file longer than what is in it
	told := 0
	for page := 2; page < pages; page++ {
		b := bytes.Clone(whole)
		clear(b[page*os.Getpagesize():][:64])
		s, problems, err := Read(t.Context(), written(t, b))
		switch {
		case err != nil || len(problems) > 0:
			told++
		default:
			if recs, err := s.List(t.Context(), "", "", 1000); err != nil || len(recs) != 200 {
				t.Errorf("page %d: %d records of 200, and no problem: %v", page, len(recs), err)
			}
		}
	}
	if told < 5 {
		t.Errorf("damage showed in %d pages only", told)
	}
}

func TestReadTellsRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put("a", nil)}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.Update(func(tx *bbolt.Tx) error {
		data := tx.Bucket(format.DataBucket)
		return errors.Join(data.Put([]byte("short"), []byte("x")),
			data.Put([]byte("future"), []byte{0, 0, 0, 0, 0, 0, 1, 0}))
	}); err != nil {
		t.Fatal(err)
	}
	_, problems, err := Read(t.Context(), path) // while it is open
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`record "future" has revision 256, and the file is at 1`, `record "short" has no revision`}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

// TestSnapshotReads compares every read of a snapshot with the open file's.
func TestSnapshotReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db := openAt(t, path)
	ctx := t.Context()
	for _, k := range []string{"a", "a/1", "a/2", "b", "b/1", "c"} {
		if _, err := db.Txn(ctx, nil, []kv.Op{kv.Put(k, []byte("value of "+k))}); err != nil {
			t.Fatal(err)
		}
	}
	s, problems, err := Read(ctx, path)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	for _, prefix := range []string{"", "a", "a/", "b/1", "x"} {
		for _, after := range []string{"", "a", "a/1", "a/3", "b", "c"} {
			for _, limit := range []int{1, 2, 100} {
				want, err := db.List(ctx, prefix, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.List(ctx, prefix, after, limit)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("List(%q, %q, %d): %v\n%s", prefix, after, limit, err, diff)
				}
				if want, err = db.ListBack(ctx, prefix, after, limit); err != nil {
					t.Fatal(err)
				}
				got, err = s.ListBack(ctx, prefix, after, limit)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("ListBack(%q, %q, %d): %v\n%s", prefix, after, limit, err, diff)
				}
			}
		}
	}
	want, _ := db.Get(ctx, "a/2")
	if got, err := s.Get(ctx, "a/2"); err != nil || !cmp.Equal(want, got) {
		t.Errorf("Get: %v, %v", got, err)
	}
	if _, err := s.Get(ctx, "a/"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	if _, err := s.List(ctx, "", "", 0); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("a list of nothing: %v", err)
	}
}

// TestSnapshotOfManyPages reads a file that is being written to, page by page: it stays as it was.
func TestSnapshotOfManyPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	db := openAt(t, path)
	put := func(value string) {
		t.Helper()
		for i := range 20 {
			var ops []kv.Op
			for j := range 100 {
				ops = append(ops, kv.Put(fmt.Sprintf("k/%04d", i*100+j), bytes.Repeat([]byte(value), 1+i*j%300)))
			}
			if _, err := db.Txn(t.Context(), nil, ops); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("1")
	s, problems, err := Read(t.Context(), path)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	defer s.Close()
	put("2")
	n := 0
	for after := ""; ; {
		recs, err := s.List(t.Context(), "k/", after, 33)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			break
		}
		for _, r := range recs {
			if r.Key != fmt.Sprintf("k/%04d", n) || r.Value[0] != '1' {
				t.Fatalf("record %d is %s, %.1s", n, r.Key, r.Value)
			}
			if got, err := s.Get(t.Context(), r.Key); err != nil || !cmp.Equal(got, r) {
				t.Fatalf("Get of %s: %v, %v", r.Key, got, err)
			}
			after = r.Key
			n++
		}
	}
	if n != 2000 {
		t.Errorf("%d records of 2000", n)
	}
	for before := ""; n > 0; {
		recs, err := s.ListBack(t.Context(), "k/", before, 33)
		if err != nil || len(recs) == 0 {
			t.Fatalf("%d records before %q: %v", len(recs), before, err)
		}
		for _, r := range recs {
			if n--; r.Key != fmt.Sprintf("k/%04d", n) || r.Value[0] != '1' {
				t.Fatalf("record %d from the end is %s, %.1s", n, r.Key, r.Value)
			}
			before = r.Key
		}
	}
	// One that nobody had open when it was read.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	at := openAtRest(t, path)
	again := openAt(t, path)
	if _, err := again.Txn(t.Context(), nil, []kv.Op{kv.Put("k/0000", nil)}); err != nil {
		t.Fatal(err)
	}
	if _, err := at.List(t.Context(), "k/", "", 10); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("written to since: %v", err)
	}
}

func openAt(t *testing.T, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func written(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openAtRest(t *testing.T, path string) *Snapshot {
	t.Helper()
	s, problems, err := Read(t.Context(), path)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
