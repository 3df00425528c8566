package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// found is a Visitor that notes everything.
type found struct {
	records map[string]string
	damage  []string
	leave   string // a bucket not to be entered
}

func (f *found) Bucket(path []string) bool { return strings.Join(path, "/") != f.leave }

func (f *found) Record(path []string, key, value []byte) error {
	f.records[strings.Join(path, "/")+"/"+string(key)] = string(value)
	return nil
}

func (f *found) Damaged(path []string, d Damage) { f.damage = append(f.damage, d.String()) }

func walk(t *testing.T, b []byte) *found {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	all := &found{records: make(map[string]string)}
	if err := f.Walk(all); err != nil {
		t.Fatal(err)
	}
	return all
}

// made is a real file with branches, overflow pages, an inline and a nested bucket, and what is in it.
func made(t testing.TB) ([]byte, map[string]string) {
	path := filepath.Join(t.TempDir(), "x.bolt")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 4096, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	err = db.Update(func(tx *bbolt.Tx) error {
		big, err := tx.CreateBucket([]byte("big"))
		if err != nil {
			return err
		}
		for i := range 600 {
			k, v := fmt.Sprintf("key-%05d", i), strings.Repeat("v", i%300)
			if i == 77 {
				v = strings.Repeat("large", 5000)
			}
			want["big/"+k] = v
			if err := big.Put([]byte(k), []byte(v)); err != nil {
				return err
			}
		}
		small, err := tx.CreateBucket([]byte("small"))
		if err != nil {
			return err
		}
		want["small/a"] = "1"
		if err := small.Put([]byte("a"), []byte("1")); err != nil {
			return err
		}
		nested, err := big.CreateBucket([]byte("nested"))
		if err != nil {
			return err
		}
		want["big/nested/x"] = ""
		return nested.Put([]byte("x"), nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	// A second transaction, so that the other meta page has something too.
	if err := db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("small")).Put([]byte("b"), []byte("2"))
	}); err != nil {
		t.Fatal(err)
	}
	want["small/b"] = "2"
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, want
}

func TestNotAFile(t *testing.T) {
	whole, _ := made(t)
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte(strings.Repeat("hello", 5000)), "zeros": make([]byte, 1<<16),
		"a header": whole[:80],
	} {
		if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	cut := whole[:len(whole)/2]
	if _, err := Open(bytes.NewReader(cut), int64(len(cut))); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("half a file: %v", err)
	}
	both := bytes.Clone(whole)
	both[headerLen]++
	both[4096+headerLen]++
	if _, err := Open(bytes.NewReader(both), int64(len(both))); !errors.Is(err, ErrFormat) {
		t.Errorf("without a meta page: %v", err)
	}
}

func TestWalkReadsWhatBboltWrote(t *testing.T) {
	whole, want := made(t)
	got := walk(t, whole)
	if diff := cmp.Diff(want, got.records); diff != "" || len(got.damage) > 0 {
		t.Errorf("damage %v, records (-want +got):\n%s", got.damage, diff)
	}
	for _, at := range []int{0, 4096} { // either meta page is enough, the older one for what was before
		one := bytes.Clone(whole)
		one[at+headerLen]++
		if got := walk(t, one); len(got.records) < len(want)-1 {
			t.Errorf("without the meta page at %d there are %d records of %d", at, len(got.records), len(want))
		}
	}
}

func TestWalkLeavesBucketsOut(t *testing.T) {
	whole, _ := made(t)
	f, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	got := &found{records: make(map[string]string), leave: "big"}
	if err := f.Walk(got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"small/a": "1", "small/b": "2"}, got.records); diff != "" {
		t.Error(diff)
	}
}

// TestCurrent changes the file's meta page between reading and the question.
func TestCurrent(t *testing.T) {
	whole, _ := made(t)
	f, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if !f.Current() {
		t.Error("the file reads as changed and is not")
	}
	for _, at := range []int{0, 4096} {
		m := whole[at+headerLen:]
		binary.LittleEndian.PutUint64(m[48:], 1000)
		sum := fnv.New64a()
		sum.Write(m[:metaLen-8])
		binary.LittleEndian.PutUint64(m[metaLen-8:], sum.Sum64())
	}
	if f.Current() {
		t.Error("the file reads as it was and has changed")
	}
}

// TestDamage damages each page in turn: the others are still read.
func TestDamage(t *testing.T) {
	whole, want := made(t)
	told := 0
	for page := 2; page*4096 < len(whole); page++ {
		for _, damage := range []func(b []byte){
			func(b []byte) { clear(b) },
			func(b []byte) { binary.LittleEndian.PutUint16(b[10:], 0xffff) },
			func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 0xffffff) },
			func(b []byte) { binary.LittleEndian.PutUint64(b[24:], uint64(page)) }, // a branch that leads to itself
			func(b []byte) { binary.LittleEndian.PutUint32(b[20:], 0xffffff00) },
		} {
			b := bytes.Clone(whole)
			damage(b[page*4096:])
			got := walk(t, b)
			if len(got.records)+len(got.damage) == 0 {
				t.Errorf("page %d: nothing was read and nothing told", page)
			}
			if len(got.damage) > 0 {
				told++
			} else if len(got.records) < len(want) {
				t.Errorf("page %d: %d records of %d, and no damage is told", page, len(got.records), len(want))
			}
		}
	}
	if told == 0 {
		t.Error("no damage was found anywhere")
	}
}

// TestFreelist lists a page as free that is in use: the next write would go over it.
func TestFreelist(t *testing.T) {
	whole, _ := made(t)
	f, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	list := whole[f.Meta().Freelist*4096:]
	n := binary.LittleEndian.Uint16(list[10:])
	if n == 0 {
		t.Fatal("the file has no free page to begin with")
	}
	binary.LittleEndian.PutUint64(list[headerLen:], f.Meta().Root)
	if got := walk(t, whole); len(got.damage) != 1 || !strings.Contains(got.damage[0], "listed as free") {
		t.Errorf("damage %v", got.damage)
	}
}

func FuzzWalk(f *testing.F) {
	small := filepath.Join(f.TempDir(), "s.bolt")
	db, err := bbolt.Open(small, 0o600, &bbolt.Options{PageSize: 1024, NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		for i := range 60 {
			err = errors.Join(err, b.Put(fmt.Appendf(nil, "%d", i), make([]byte, 20)))
		}
		return err
	}); err != nil {
		f.Fatal(err)
	}
	db.Close()
	b, err := os.ReadFile(small)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		// The pages' bytes are the fuzzer's; the meta pages' checksums it would never find.
		for _, at := range []int{0, 1024, 4096} {
			if len(b) < at+headerLen+metaLen {
				continue
			}
			m := b[at+headerLen:]
			sum := fnv.New64a()
			sum.Write(m[:metaLen-8])
			binary.LittleEndian.PutUint64(m[metaLen-8:], sum.Sum64())
		}
		file, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		n := 0
		if err := file.Walk(&counting{n: &n, most: len(b)}); err != nil {
			t.Fatal(err)
		}
	})
}

// counting fails a walk that finds more than a file can hold.
type counting struct {
	n    *int
	most int
}

func (c *counting) Bucket([]string) bool { return true }
func (c *counting) Record(_ []string, k, v []byte) error {
	if *c.n += elementLen; *c.n > 64*c.most {
		return errors.New("more records than the file can hold")
	}
	return nil
}
func (c *counting) Damaged([]string, Damage) {}

// TestWhatBboltCannotFind changes what the pages above say of keys, and what bbolt would end at.
func TestWhatBboltCannotFind(t *testing.T) {
	whole, _ := made(t)
	page := func(flags uint16, has string) []byte {
		for at := 2 * 4096; at < len(whole); at += 4096 {
			if binary.LittleEndian.Uint16(whole[at+8:]) == flags && bytes.Contains(whole[at:at+4096], []byte(has)) {
				return whole[at : at+4096]
			}
		}
		t.Fatalf("no page of kind %#x with %q", flags, has)
		return nil
	}
	f, err := Open(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	free := whole[f.Meta().Freelist*4096:]
	if binary.LittleEndian.Uint16(free[10:]) < 2 {
		t.Fatal("the file has too few free pages")
	}
	branch, leaf := page(branchPage, "key-"), page(leafPage, "key-00000")
	second := headerLen + elementLen // the second element
	key := func(p []byte, element int) []byte {
		at := element + int(binary.LittleEndian.Uint32(p[element:]))
		return p[at : at+len("key-00000")]
	}
	for name, change := range map[string]func() (restore []byte, at []byte){
		"a higher key above": func() ([]byte, []byte) {
			k := key(branch, second)
			old := bytes.Clone(k)
			k[8]++
			return old, k
		},
		"keys above that swap": func() ([]byte, []byte) {
			k := key(branch, second)
			old := bytes.Clone(k)
			copy(k, "key-99999")
			return old, k
		},
		"an empty key above": func() ([]byte, []byte) {
			n := branch[second+4 : second+8]
			old := bytes.Clone(n)
			clear(n)
			return old, n
		},
		"an empty key": func() ([]byte, []byte) {
			n := leaf[second+8 : second+12]
			old := bytes.Clone(n)
			clear(n)
			return old, n
		},
		"no page below": func() ([]byte, []byte) { n := branch[10:12]; old := bytes.Clone(n); clear(n); return old, n },
		"two kinds": func() ([]byte, []byte) {
			n := leaf[8:10]
			old := bytes.Clone(n)
			n[0] |= branchPage
			return old, n
		},
		"a list that is out of order": func() ([]byte, []byte) {
			list := free[headerLen : headerLen+16]
			old := bytes.Clone(list)
			copy(list, old[8:])
			copy(list[8:], old[:8])
			return old, list
		},
	} {
		old, at := change()
		if got := walk(t, whole); len(got.damage) == 0 {
			t.Errorf("%s: no damage is told", name)
		}
		copy(at, old)
	}
	if got := walk(t, whole); len(got.damage) != 0 {
		t.Errorf("the file as it was: %v", got.damage)
	}
}
