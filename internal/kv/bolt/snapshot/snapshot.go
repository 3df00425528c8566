// Package snapshot reads a data file without its lock, also while a server has it open.
package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"strongroom/internal/boltfile"
	"strongroom/internal/bounded"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/copying"
	"strongroom/internal/kv/bolt/format"
)

// Snapshot is a file's content as it was at one moment, read without the file's lock. It is a kv.Store that takes no
// transaction, for checking a file before anything is made of it. It holds which page has which keys, and reads the
// records from there: of a file that a server writes to it has a copy without a name.
type Snapshot struct {
	f      *os.File
	copied bool // f is nobody else's, and stays as it is

	mu     sync.Mutex // held while file is used
	file   *boltfile.File
	leaves []leaf
	small  []record // of a file so small that its records are in no page of their own
	pages  *bounded.Map[int, []record]
}

// maxPages is how much of the file is kept in memory, in bytes: what is asked for next is often on the same page, and
// of what many records name there is little.
const (
	maxPages       = 8 << 20
	recordOverhead = 64 // of the two slices and the page's own
)

// record is one as it stands in the file, on a page that nobody changes.
type record struct{ key, raw []byte }

func (r record) rev() int64 { return int64(binary.BigEndian.Uint64(r.raw)) }

// copied gives the record to a caller, who may do with it what he wants.
func (r record) copied() kv.Record {
	return kv.Record{Key: string(r.key), Rev: r.rev(), Value: slices.Clone(r.raw[format.RevLen:])}
}

// leaf is a page with records, from the key first on up to that of the next one.
type leaf struct {
	first string
	page  uint64
}

var _ kv.Store = (*Snapshot)(nil)

// Read reads a file, which a server may have open. Problems are what is wrong with its structure, one line each;
// what could be read in spite of them is in the snapshot, which has to be closed. The error says that nothing could be.
func Read(ctx context.Context, path string) (s *Snapshot, problems []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	for range peekTries {
		s, problems, current, err := readFile(ctx, f, path)
		if current {
			if err != nil || s.copied {
				f.Close()
			}
			if err != nil {
				if s != nil && s.copied {
					s.Close()
				}
				return nil, nil, fmt.Errorf("reading the database %s: %w", path, err)
			}
			return s, problems, nil
		}
		if s != nil && s.copied {
			s.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, nil, ctx.Err()
		}
	}
	f.Close()
	return nil, nil, fmt.Errorf("reading the database %s: it changes too fast; stop the server, or make a backup of "+
		"it (influx backup) and look at that", path)
}

func readFile(ctx context.Context, f *os.File, path string) (s *Snapshot, problems []string, current bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, true, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, true, errors.New("it is not a file")
	}
	file, err := boltfile.Open(f, info.Size())
	if err != nil {
		return nil, nil, true, err
	}
	s = &Snapshot{f: f, file: file, pages: bounded.New[int, []record](maxPages, nil)}
	if isOpen(f) {
		if own, err := copyOf(ctx, f, path, info.Size()); err == nil {
			now := file.Current() // no page of that moment was written over before the end
			s.f, s.copied = own, true
			if !now {
				return s, nil, false, nil
			}
			if s.file, err = boltfile.Open(own, info.Size()); err != nil {
				return s, nil, false, err
			}
		} else if ctx.Err() != nil {
			return nil, nil, true, ctx.Err()
		}
	}
	r := &reader{ctx: ctx, meta: make(map[string][]byte)}
	// What the file says of itself stands behind its records, and tells whether they can be what it says.
	if err := s.file.WalkAfter(r, string(format.MetaBucket), nil); err != nil {
		return s, nil, s.file.Current() || ctx.Err() != nil, err
	}
	*r = reader{ctx: ctx, meta: r.meta, last: r.revision()}
	if err := s.file.Walk(r); err != nil {
		return s, nil, s.file.Current() || ctx.Err() != nil, err
	}
	if err := r.finish(); err != nil {
		return s, nil, s.file.Current(), err
	}
	s.leaves, s.small = r.leaves, r.recs
	return s, r.problems, s.file.Current(), nil
}

// isOpen reports whether somebody has the file open to write to it.
func isOpen(f *os.File) bool {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return errors.Is(err, syscall.EWOULDBLOCK)
	}
	return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) != nil
}

// copyOf copies a file to one without a name: beside it, or where temporary files are.
func copyOf(ctx context.Context, f *os.File, path string, size int64) (_ *os.File, err error) {
	for _, at := range []string{path, filepath.Join(os.TempDir(), filepath.Base(path))} {
		var own *os.File
		if own, err = copying.Nameless(at); err != nil {
			continue
		}
		if room, roomErr := copying.Room(own); roomErr == nil && room < size+copying.Reserve {
			err = copying.ErrNoRoom
		} else {
			_, err = copying.New(ctx, own, f).ReadFrom(&io.LimitedReader{N: size})
		}
		if err == nil {
			return own, nil
		}
		own.Close()
	}
	return nil, err
}

// reader is the boltfile.Visitor that takes everything up.
type reader struct {
	ctx       context.Context
	buckets   []string
	strangers []string // buckets that no influxd makes
	meta      map[string][]byte
	last      int64    // the file's revision; 0 where it has none
	recs      []record // of the page that is being read
	leaves    []leaf
	problems  []string
	broken    int
}

// revision returns the revision of the last transaction; 0 where the file has none.
func (r *reader) revision() int64 {
	if raw := r.meta[string(format.RevisionKey)]; len(raw) == 8 {
		return int64(binary.BigEndian.Uint64(raw))
	}
	return 0
}

// Leaf takes note of a page.
func (r *reader) Leaf(path []string, page uint64, first []byte) {
	if path[0] == string(format.DataBucket) {
		r.leaves = append(r.leaves, leaf{string(first), page})
		r.recs = nil
	}
}

func (r *reader) Bucket(path []string) bool {
	if len(path) == 1 {
		r.buckets = append(r.buckets, path[0])
	}
	if len(path) == 1 && (path[0] == string(format.DataBucket) || path[0] == string(format.MetaBucket)) {
		return true
	}
	r.strangers = append(r.strangers, strings.Join(path, "/"))
	return false
}

func (r *reader) Record(path []string, key, value []byte) error {
	switch {
	case len(path) == 0:
		r.problem("a record %q stands outside of every bucket", key)
	case path[0] == string(format.MetaBucket):
		r.meta[string(key)] = slices.Clone(value)
	case len(value) < format.RevLen:
		r.problem("record %q has no revision", key)
	default:
		rec := record{slices.Clone(key), slices.Clone(value)}
		if r.last > 0 && (rec.rev() < 1 || rec.rev() > r.last) {
			r.problem("record %q has revision %d, and the file is at %d", rec.key, rec.rev(), r.last)
		}
		r.recs = append(r.recs, rec)
	}
	return r.ctx.Err()
}

func (r *reader) Damaged(path []string, d boltfile.Damage) {
	r.broken++
	r.problem("%s (in bucket %q): what was there cannot be read", d, strings.Join(path, "/"))
}

func (r *reader) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// finish looks at what only the whole tells.
func (r *reader) finish() error {
	if !slices.Contains(r.buckets, string(format.MetaBucket)) && r.broken > 0 {
		return errors.New("it is damaged so far that nothing of Strongroom's can be found in it; restore it " +
			"from a backup")
	}
	if len(r.buckets) == 0 {
		return errors.New("it is empty: no server has written to it yet")
	}
	if err := format.Check(r.buckets, r.meta[string(format.FormatKey)],
		slices.Contains(r.buckets, string(format.DataBucket))); err != nil {
		return err
	}
	for _, b := range r.strangers {
		r.problem("there is a bucket %q, which no influxd makes", b)
	}
	if len(r.meta[string(format.RevisionKey)]) != 8 {
		r.problem("the file has no revision")
	}
	return nil
}

// Get returns one record.
func (s *Snapshot) Get(ctx context.Context, key string) (kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return kv.Record{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	recs, err := s.page(s.leafOf(key))
	if err != nil {
		return kv.Record{}, err
	}
	i, found := find(recs, key)
	if !found {
		return kv.Record{}, kv.ErrNotFound
	}
	return recs[i].copied(), nil
}

func find(recs []record, key string) (int, bool) {
	return slices.BinarySearchFunc(recs, []byte(key), func(r record, k []byte) int { return bytes.Compare(r.key, k) })
}

// leafOf gives the leaf that a key would be on.
func (s *Snapshot) leafOf(key string) int {
	i, found := slices.BinarySearchFunc(s.leaves, key, func(l leaf, k string) int {
		return strings.Compare(l.first, k)
	})
	if !found && i > 0 {
		i--
	}
	return i
}

// page reads the records of a leaf, which nobody may change; nil behind the last. The lock is held.
func (s *Snapshot) page(at int) ([]record, error) {
	recs, kept := s.pages.Get(at)
	switch {
	case len(s.leaves) == 0 && at == 0:
		return s.small, nil
	case at >= len(s.leaves):
		return nil, nil
	case kept:
		return recs, nil
	}
	var next []byte
	if at+1 < len(s.leaves) {
		next = []byte(s.leaves[at+1].first)
	}
	size := 0
	err := s.file.ReadLeaf(s.leaves[at].page, []byte(s.leaves[at].first), next, func(key, value []byte) bool {
		if len(value) >= format.RevLen {
			recs = append(recs, record{key, value})
			size += len(key) + len(value) + recordOverhead
		}
		return true
	})
	if err == nil && !s.copied && !s.file.Current() {
		err = fmt.Errorf("%w: the file is written to by now, and what is read of it is of different "+
			"moments: begin anew", kv.ErrUnavailable)
	}
	if err != nil {
		return nil, err
	}
	s.pages.Put(at, recs, size)
	return recs, nil
}

// List returns one page.
func (s *Snapshot) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []kv.Record
	from := max(prefix, after)
	for at := s.leafOf(from); ; at++ {
		recs, err := s.page(at)
		if err != nil || at >= max(len(s.leaves), 1) {
			return list, err
		}
		i, found := find(recs, from)
		if found && after == from {
			i++
		}
		for ; i < len(recs); i++ {
			if len(list) == limit || !bytes.HasPrefix(recs[i].key, []byte(prefix)) {
				return list, ctx.Err()
			}
			list = append(list, recs[i].copied())
		}
	}
}

// ListBack returns one page from the end.
func (s *Snapshot) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	end, at := kv.Behind(prefix, before), max(len(s.leaves)-1, 0)
	if end != "" {
		at = s.leafOf(end)
	}
	var list []kv.Record
	for ; at >= 0; at-- {
		recs, err := s.page(at)
		if err != nil {
			return nil, err
		}
		i := len(recs)
		if end != "" {
			i, _ = find(recs, end)
		}
		for i--; i >= 0; i-- {
			if len(list) == limit || !bytes.HasPrefix(recs[i].key, []byte(prefix)) {
				return list, ctx.Err()
			}
			list = append(list, recs[i].copied())
		}
	}
	return list, ctx.Err()
}

// errSnapshot is a full store: readers of a full one go on, also over a change that was begun and cannot be finished.
var errSnapshot = fmt.Errorf("%w: a snapshot is for reading only", kv.ErrFull)

// Txn takes none, and says that there is no room.
func (s *Snapshot) Txn(context.Context, []kv.Cond, []kv.Op) (int64, error) { return 0, errSnapshot }

// Watch refuses: nothing changes here.
func (s *Snapshot) Watch(context.Context, string, int64, func(kv.Update)) error { return errSnapshot }

// Hold refuses.
func (s *Snapshot) Hold(context.Context, string) (context.Context, func(), error) {
	return nil, nil, errSnapshot
}

// Close releases the file.
func (s *Snapshot) Close() error { return s.f.Close() }
