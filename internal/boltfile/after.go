package boltfile

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
