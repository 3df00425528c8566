// Package boltfile reads files of bbolt without bbolt: for reading only, through any io.ReaderAt, taking no lock and
// trusting nothing it finds. bbolt maps the file, takes a lock that a running program holds, and follows pages that
// point to themselves until its stack is full; this reader looks at each page once and inside its bounds, and tells of
// damage page by page. The format is that of go.etcd.io/bbolt, version 2 (internal/common/page.go, meta.go, bucket.go).
package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// The parts of the format. Numbers are little-endian: bbolt writes those of the machine, and every one that Go programs
// of this kind run on today is so.
const (
	magic   = 0xED0CDAED
	version = 2

	headerLen = 16 // of a page: id (8), flags (2), count (2), overflow (4)
	// magic, version, page size, flags (4 each), root and sequence, freelist, high water, txid, checksum (8 each)
	metaLen    = 64
	elementLen = 16 // of a branch: pos, ksize (4 each), page (8); of a leaf: flags, pos, ksize, vsize (4 each)
	bucketLen  = 16 // root page (8), sequence (8); a root of 0 means that the bucket's one page follows

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	noFreelist = 1<<64 - 1 // the list is not kept: bbolt finds it out when it opens the file
	longList   = 0xffff    // a list this long has its length in front, in 8 bytes

	bucketElement = 0x01

	maxPageSize = 64 << 10
	maxKey      = 32 << 10
	maxRun      = 256 << 20 // bytes of one page with its overflow; bbolt cannot store a value this large
	maxDepth    = 64        // of a tree of pages; with two keys a page that is more than there can be
)

// ErrFormat is a file that is not bbolt's, or is damaged so far that nothing can be read of it.
var ErrFormat = errors.New("it is not a database of bbolt")

// Meta is what a file says of itself.
type Meta struct {
	PageSize int
	Root     uint64 // the page of the top-level buckets
	Pages    uint64 // how many pages the file has
	Freelist uint64 // the page of the list of free pages, or noFreelist
	TxID     uint64 // of the last transaction
}

// File is an open file. It is not safe for use by several goroutines.
type File struct {
	r    io.ReaderAt
	size int64
	meta Meta

	seen  pages  // the pages met, so that none is followed twice
	after []byte // of WalkAfter: what is not behind it is left out; nil otherwise
}

// Open reads the newest of the file's two meta pages that is whole.
func Open(r io.ReaderAt, size int64) (*File, error) {
	m, err := readMeta(r, size)
	if err != nil {
		return nil, err
	}
	if need := int64(m.Pages) * int64(m.PageSize); m.Pages > uint64(size) || need > size {
		return nil, fmt.Errorf("the file is cut off: it has %d bytes and says it has %d pages of %d", size,
			m.Pages, m.PageSize)
	}
	return &File{r: r, size: size, meta: m}, nil
}

// Meta is what Open has read. It stays the same until the file's owner commits.
func (f *File) Meta() Meta { return f.meta }

// Current reports whether the file is still as Open found it: a transaction's pages are written to free places before
// the meta page that refers to them, so that what was read belongs together as long as this is true.
func (f *File) Current() bool {
	m, err := readMeta(f.r, f.size)
	return err == nil && m == f.meta
}

func readMeta(r io.ReaderAt, size int64) (Meta, error) {
	first, ok := metaAt(r, 0)
	if ok {
		if second, ok := metaAt(r, int64(first.PageSize)); ok && second.TxID > first.TxID {
			return second, nil
		}
		return first, nil
	}
	for at := int64(1024); at <= maxPageSize && at < size; at <<= 1 {
		if second, ok := metaAt(r, at); ok && int64(second.PageSize) == at {
			return second, nil
		}
	}
	return Meta{}, ErrFormat
}

func metaAt(r io.ReaderAt, at int64) (Meta, bool) {
	var b [headerLen + metaLen]byte
	if _, err := r.ReadAt(b[:], at); err != nil {
		return Meta{}, false
	}
	m := b[headerLen:]
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	sum := fnv.New64a()
	sum.Write(m[:metaLen-8])
	if u32(m) != magic || u32(m[4:]) != version || u64(m[metaLen-8:]) != sum.Sum64() {
		return Meta{}, false
	}
	size := u32(m[8:])
	if size < 1024 || size > maxPageSize || size&(size-1) != 0 {
		return Meta{}, false
	}
	return Meta{PageSize: int(size), Root: u64(m[16:]), Freelist: u64(m[32:]), Pages: u64(m[40:]),
		TxID: u64(m[48:])}, true
}

// Damage is one place that cannot be read, or that bbolt cannot: it finds keys by what the pages above say of them, and
// ends where a page is not as it would have written it. What cannot be read is left out.
type Damage struct {
	Page uint64
	Why  string
}

func (d Damage) String() string { return fmt.Sprintf("page %d: %s", d.Page, d.Why) }

// Visitor is told of what Walk finds. Key and value are valid during the call only.
type Visitor interface {
	// Bucket is called for each bucket; what is in it is walked where it returns true.
	Bucket(path []string) bool
	// Record is called for each key of a bucket that was entered.
	Record(path []string, key, value []byte) error
	// Damaged is called for each place that cannot be read.
	Damaged(path []string, d Damage)
}

// LeafVisitor is a Visitor that is also told of the pages that have a top-level bucket's records, for ReadLeaf.
type LeafVisitor interface {
	Visitor
	// Leaf is called behind the records of a page. First is the first of the keys that Record was called with; a page
	// without one is not told of.
	Leaf(path []string, page uint64, first []byte)
}

// Walk goes through the file once, in the order of its keys. Its error is the first that Record returns, or one of
// reading; damage is none.
func (f *File) Walk(v Visitor) error {
	f.seen = make(pages, f.meta.Pages/64+1)
	f.after = nil
	if err := f.tree(v, nil, f.meta.Root, 0, &span{}); err != nil {
		return err
	}
	return f.freelist(v)
}

// span is where the keys of a page must lie: behind last, the key met before it in the same bucket, at or behind low,
// and before high. Nil is no bound.
type span struct{ last, low, high []byte }

// takes says why the next key cannot be where it is; "" where it can.
func (s *span) takes(key []byte) string {
	switch {
	case len(key) == 0:
		return "is empty"
	case s.last != nil && bytes.Compare(key, s.last) <= 0:
		return "is out of order"
	case bytes.Compare(key, s.low) < 0 || s.high != nil && bytes.Compare(key, s.high) >= 0:
		return "is on another page than the pages above say"
	}
	return ""
}

// tree walks the pages below one.
func (f *File) tree(v Visitor, path []string, page uint64, depth int, in *span) error {
	damaged := func(format string, args ...any) error {
		v.Damaged(path, Damage{page, fmt.Sprintf(format, args...)})
		return nil
	}
	switch {
	case depth > maxDepth:
		return damaged("the tree is too deep")
	case page < 2 || page >= f.meta.Pages:
		return damaged("there is no such page")
	case f.seen.has(page):
		return damaged("it is used twice")
	}
	raw, why, err := f.read(page)
	if err != nil {
		return err
	}
	if why != "" {
		return damaged("%s", why)
	}
	for i := range uint64(len(raw) / f.meta.PageSize) {
		if f.seen.has(page + i) {
			return damaged("it is used twice")
		}
		f.seen.add(page + i)
	}
	first, err := f.elements(v, path, page, raw, depth, in)
	if leaves, ok := v.(LeafVisitor); ok && err == nil && first != nil && len(path) == 1 {
		leaves.Leaf(path, page, first)
	}
	return err
}

// read reads a page with its overflow.
func (f *File) read(page uint64) (raw []byte, why string, err error) {
	at := int64(page) * int64(f.meta.PageSize)
	raw = make([]byte, f.meta.PageSize) // most are no longer
	if _, err := f.r.ReadAt(raw, at); err != nil {
		return nil, "", fmt.Errorf("reading page %d: %w", page, err)
	}
	overflow := uint64(binary.LittleEndian.Uint32(raw[12:]))
	switch {
	case binary.LittleEndian.Uint64(raw) != page:
		return nil, "it says it is another page", nil
	case page+overflow >= f.meta.Pages || (overflow+1)*uint64(f.meta.PageSize) > maxRun:
		return nil, "it is longer than the file", nil
	case overflow > 0:
		whole := make([]byte, (overflow+1)*uint64(f.meta.PageSize))
		copy(whole, raw)
		raw = whole
		if _, err := f.r.ReadAt(raw[f.meta.PageSize:], at+int64(f.meta.PageSize)); err != nil {
			return nil, "", fmt.Errorf("reading page %d: %w", page, err)
		}
	}
	return raw, "", nil
}

// elements walks what is on a page. First is the key of the first record that Record was called with;
// nil where there is none.
func (f *File) elements(v Visitor, path []string, page uint64, raw []byte, depth int,
	in *span) (first []byte, err error) {
	flags, count := binary.LittleEndian.Uint16(raw[8:]), int(binary.LittleEndian.Uint16(raw[10:]))
	damaged := func(format string, args ...any) {
		v.Damaged(path, Damage{page, fmt.Sprintf(format, args...)})
	}
	if flags != branchPage && flags != leafPage {
		damaged("it is of no kind that holds keys (%#x)", flags)
		return nil, nil
	}
	if headerLen+count*elementLen > len(raw) {
		damaged("it has more keys than fit")
		return nil, nil
	}
	if flags == branchPage {
		return nil, f.branch(v, path, page, raw, count, depth, in)
	}
	for i := range count {
		at := headerLen + i*elementLen
		el := raw[at:]
		u32 := binary.LittleEndian.Uint32
		pos, ksize := u32(el[4:]), u32(el[8:])
		key, okKey := part(raw, at, uint64(pos), ksize)
		value, okValue := part(raw, at, uint64(pos)+uint64(ksize), u32(el[12:]))
		if !okKey || !okValue || ksize > maxKey {
			damaged("key %d is not on it", i)
			continue
		}
		if why := in.takes(key); why != "" {
			damaged("key %d %s", i, why)
			continue
		}
		in.last = key
		if f.after != nil && len(path) == 1 && bytes.Compare(key, f.after) <= 0 {
			continue
		}
		if u32(el)&bucketElement != 0 {
			err = f.bucket(v, append(path[:len(path):len(path)], string(key)), page, value, depth)
		} else {
			if first == nil {
				first = in.last
			}
			err = v.Record(path, key, value)
		}
		if err != nil {
			return first, err
		}
	}
	return first, nil
}

// branch walks the pages that a page of branches names. Each has the keys from the one it is named by to the next.
func (f *File) branch(v Visitor, path []string, page uint64, raw []byte, count, depth int, in *span) error {
	damaged := func(format string, args ...any) {
		v.Damaged(path, Damage{page, fmt.Sprintf(format, args...)})
	}
	if count == 0 {
		damaged("it names no page")
	}
	keys := make([][]byte, count)
	for i := range count {
		at := headerLen + i*elementLen
		el := raw[at:]
		key, ok := part(raw, at, uint64(binary.LittleEndian.Uint32(el)), binary.LittleEndian.Uint32(el[4:]))
		switch {
		case !ok || len(key) == 0 || len(key) > maxKey:
			damaged("key %d is not on it", i)
		case i > 0 && bytes.Compare(key, keys[i-1]) <= 0:
			damaged("key %d is out of order", i)
		case bytes.Compare(key, in.low) < 0 || in.high != nil && bytes.Compare(key, in.high) >= 0:
			damaged("key %d is on another page than the pages above say", i)
		}
		keys[i] = key
	}
	for i := range count {
		if f.after != nil && len(path) == 1 && i+1 < count && keys[i+1] != nil && bytes.Compare(keys[i+1],
			f.after) <= 0 {
			continue
		}
		below := span{last: in.last, low: keys[i], high: in.high}
		if i+1 < count {
			below.high = keys[i+1]
		}
		err := f.tree(v, path, binary.LittleEndian.Uint64(raw[headerLen+i*elementLen+8:]), depth+1, &below)
		if err != nil {
			return err
		}
		in.last = below.last
	}
	return nil
}

// part is the bytes at an element's position; ok is false where they are not on the page.
func part(raw []byte, at int, pos uint64, n uint32) (b []byte, ok bool) {
	from := uint64(at) + pos
	if from+uint64(n) > uint64(len(raw)) {
		return nil, false
	}
	return raw[from : from+uint64(n)], true
}

// bucket walks a bucket, whose one page may be in its own record.
func (f *File) bucket(v Visitor, path []string, page uint64, value []byte, depth int) error {
	if depth > maxDepth {
		v.Damaged(path, Damage{page, "buckets are nested too deep"})
		return nil
	}
	if len(value) < bucketLen {
		v.Damaged(path, Damage{page, "a bucket's record is too short"})
		return nil
	}
	if !v.Bucket(path) {
		return nil
	}
	root := binary.LittleEndian.Uint64(value)
	if root != 0 {
		return f.tree(v, path, root, depth+1, &span{})
	}
	inline := value[bucketLen:]
	if len(inline) < headerLen || binary.LittleEndian.Uint16(inline[8:]) != leafPage {
		v.Damaged(path, Damage{page, "a small bucket's record is malformed"})
		return nil
	}
	_, err := f.elements(v, path, page, inline, depth+1, &span{})
	return err
}
