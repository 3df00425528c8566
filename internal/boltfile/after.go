package boltfile

import (
	"errors"
	"fmt"
)

// WalkAfter goes through one of the top-level buckets, from behind a key on, and reads no page that has only what is
// before that, but for those which lead there. Damage outside of the bucket is not told.
func (f *File) WalkAfter(v Visitor, bucket string, after []byte) error {
	f.seen = make(pages, f.meta.Pages/64+1)
	f.after = after
	if len(after) == 0 {
		f.after = nil
	}
	return f.tree(&oneBucket{v, bucket}, nil, f.meta.Root, 0, &span{})
}

// ReadLeaf calls f with the records of a page that LeafVisitor.Leaf was called for, until f returns false. They are
// those that Record was called with: from first on, and before the first of the next such page, where there is one.
// The page was read for them alone: they may be kept, and none is ever changed.
func (f *File) ReadLeaf(page uint64, first, next []byte, each func(key, value []byte) bool) error {
	raw, why, err := f.read(page)
	if err != nil {
		return err
	}
	if why != "" {
		return fmt.Errorf("page %d: %s", page, why)
	}
	r := &leafReader{each: each}
	f.after = nil
	_, err = f.elements(r, []string{""}, page, raw, 0, &span{low: first, high: next})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends the reading of a page.
var errEnough = errors.New("enough")

// leafReader is the visitor of a page that was visited before.
type leafReader struct{ each func(key, value []byte) bool }

func (*leafReader) Bucket([]string) bool { return false }

func (r *leafReader) Record(_ []string, key, value []byte) error {
	if !r.each(key, value) {
		return errEnough
	}
	return nil
}

func (*leafReader) Damaged([]string, Damage) {}

// oneBucket shows a visitor one top-level bucket.
type oneBucket struct {
	Visitor
	name string
}

func (o *oneBucket) Bucket(path []string) bool { return path[0] == o.name && o.Visitor.Bucket(path) }

func (o *oneBucket) Record(path []string, key, value []byte) error {
	if len(path) == 0 {
		return nil
	}
	return o.Visitor.Record(path, key, value)
}

func (o *oneBucket) Damaged(path []string, d Damage) {
	if len(path) > 0 {
		o.Visitor.Damaged(path, d)
	}
}

// pages is a set of pages, a bit for each of the file.
type pages []uint64

func (p pages) has(page uint64) bool { return page/64 < uint64(len(p)) && p[page/64]>>(page%64)&1 == 1 }

func (p pages) add(page uint64) { p[page/64] |= 1 << (page % 64) }
