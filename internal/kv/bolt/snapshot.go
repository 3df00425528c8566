package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom/internal/boltfile"
	"strongroom/internal/kv"
)

// Snapshot is a file's content as it was at one moment, read into memory without the file's lock. It is a kv.Store that
// takes no transaction, for checking a file before anything is made of it.
type Snapshot struct {
	recs []kv.Record // in the order of their keys
}

var _ kv.Store = (*Snapshot)(nil)

// ReadFile reads a whole file, which a server may have open. Problems are what is wrong with its structure, one line
// each; what could be read in spite of them is in the snapshot. The error says that nothing could be.
func ReadFile(ctx context.Context, path string) (s *Snapshot, problems []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	for range peekTries {
		s, problems, current, err := readFile(ctx, f)
		if current {
			if err != nil {
				return nil, nil, fmt.Errorf("reading the database %s: %w", path, err)
			}
			return s, problems, nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	return nil, nil, fmt.Errorf("reading the database %s: it changes too fast; stop the server, or make a backup of it (influx backup) and look at that", path)
}

func readFile(ctx context.Context, f *os.File) (s *Snapshot, problems []string, current bool, err error) {
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
	r := &reader{ctx: ctx, meta: make(map[string][]byte)}
	if err := file.Walk(r); err != nil {
		return nil, nil, file.Current() || ctx.Err() != nil, err
	}
	if err := r.finish(); err != nil {
		return nil, nil, file.Current(), err
	}
	return &Snapshot{r.recs}, r.problems, file.Current(), nil
}

// reader is the boltfile.Visitor that takes everything up.
type reader struct {
	ctx       context.Context
	buckets   []string
	strangers []string // buckets that no influxd makes
	meta      map[string][]byte
	recs      []kv.Record
	problems  []string
	broken    int
}

func (r *reader) Bucket(path []string) bool {
	if len(path) == 1 {
		r.buckets = append(r.buckets, path[0])
	}
	if len(path) == 1 && (path[0] == string(dataBucket) || path[0] == string(metaBucket)) {
		return true
	}
	r.strangers = append(r.strangers, strings.Join(path, "/"))
	return false
}

func (r *reader) Record(path []string, key, value []byte) error {
	switch {
	case len(path) == 0:
		r.problem("a record %q stands outside of every bucket", key)
	case path[0] == string(metaBucket):
		r.meta[string(key)] = slices.Clone(value)
	case len(value) < revLen:
		r.problem("record %q has no revision", key)
	default:
		r.recs = append(r.recs, kv.Record{Key: string(key), Rev: int64(binary.BigEndian.Uint64(value)), Value: slices.Clone(value[revLen:])})
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
	if !slices.Contains(r.buckets, string(metaBucket)) && r.broken > 0 {
		return errors.New("it is damaged so far that nothing of Strongroom's can be found in it; restore it from a backup")
	}
	if len(r.buckets) == 0 {
		return errors.New("it is empty: no server has written to it yet")
	}
	if err := checkFormat(r.buckets, r.meta[string(formatKey)], slices.Contains(r.buckets, string(dataBucket))); err != nil {
		return err
	}
	for _, b := range r.strangers {
		r.problem("there is a bucket %q, which no influxd makes", b)
	}
	raw := r.meta[string(revisionKey)]
	if len(raw) != 8 {
		r.problem("the file has no revision")
		return nil
	}
	last := int64(binary.BigEndian.Uint64(raw))
	for _, rec := range r.recs {
		if rec.Rev < 1 || rec.Rev > last {
			r.problem("record %q has revision %d, and the file is at %d", rec.Key, rec.Rev, last)
		}
	}
	return nil
}

// Get returns one record.
func (s *Snapshot) Get(ctx context.Context, key string) (kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return kv.Record{}, err
	}
	i, found := s.find(key)
	if !found {
		return kv.Record{}, kv.ErrNotFound
	}
	return clone(s.recs[i]), nil
}

func (s *Snapshot) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.recs, key, func(r kv.Record, k string) int { return strings.Compare(r.Key, k) })
}

func clone(r kv.Record) kv.Record {
	r.Value = slices.Clone(r.Value)
	return r
}

// List returns one page.
func (s *Snapshot) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, limit)
	}
	var recs []kv.Record
	at, found := s.find(max(prefix, after))
	if found && after != "" && s.recs[at].Key == after {
		at++
	}
	for ; at < len(s.recs) && len(recs) < limit && strings.HasPrefix(s.recs[at].Key, prefix); at++ {
		recs = append(recs, clone(s.recs[at]))
	}
	return recs, nil
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

// Close does nothing.
func (s *Snapshot) Close() error { return nil }
