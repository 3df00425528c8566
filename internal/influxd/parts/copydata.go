package parts

import (
	"context"
	"errors"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
)

// put writes the records in as few transactions as they fit in.
func put(ctx context.Context, to kv.Store, recs []kv.Record) error {
	for len(recs) > 0 {
		var ops []kv.Op
		size := 0
		for _, r := range recs {
			size += len(r.Key) + len(r.Value)
			if len(ops) == kv.MaxOps || len(ops) > 0 && size > kv.MaxTxnBytes {
				break
			}
			ops = append(ops, kv.Put(r.Key, r.Value))
		}
		if _, err := to.Txn(ctx, nil, ops); err != nil {
			return err
		}
		recs = recs[len(ops):]
	}
	return nil
}

// HasData gives an error where no server has ever started on the data.
func HasData(ctx context.Context, data kv.Store) error {
	_, err := data.Get(ctx, keyring.SealRecord)
	return noData(err)
}

func noData(err error) error {
	if errors.Is(err, kv.ErrNotFound) {
		return errors.New("there are no data to copy")
	}
	return err
}

// Copied says what CopyData did, or would do.
type Copied struct{ Records, Same, Removed int }

// CopyData makes the records of to those of from. It takes data that are empty, or that an earlier copy of the same
// data has begun; until it has ended, no server starts on them. What is already the same is not written again. Nobody
// may be at work on either.
func CopyData(ctx context.Context, from, to kv.Store, dry bool) (done Copied, err error) {
	mark, err := from.Get(ctx, keyring.SealRecord)
	if err != nil {
		return done, noData(err)
	}
	switch begun, err := to.Get(ctx, Copying); {
	case errors.Is(err, kv.ErrNotFound):
		if recs, err := to.List(ctx, "", "", 1); err != nil || len(recs) > 0 {
			if err == nil {
				err = errors.New("there are data already where the copy is to be; for a new copy, name another " +
					"--etcd-prefix or --bolt-path")
			}
			return done, err
		}
	case err != nil:
		return done, err
	case string(begun.Value) != string(mark.Value):
		return done, errors.New("there is the beginning of a copy of other data where the copy is to be; name " +
			"another --etcd-prefix or --bolt-path")
	}
	if !dry {
		if _, err := to.Txn(ctx, nil, []kv.Op{kv.Put(Copying, mark.Value)}); err != nil {
			return done, err
		}
	}
	// Both sides in the order of their keys, side by side.
	source, target := newReader(from), newReader(to)
	var pending []kv.Record
	flush := func() error {
		if dry {
			pending = nil
			return nil
		}
		err := put(ctx, to, pending)
		pending = nil
		return err
	}
	for {
		s, err := source.next(ctx)
		if err != nil {
			return done, err
		}
		t, err := target.next(ctx)
		if err != nil {
			return done, err
		}
		switch {
		case s == nil && t == nil:
			if err := flush(); err != nil || dry {
				return done, err
			}
			return done, verify(ctx, from, to)
		case t != nil && t.Key == Copying:
			source.back()
		case s != nil && s.Key == Copying:
			return done, errCopying
		case t == nil || s != nil && s.Key < t.Key:
			target.back()
			done.Records++
			if pending = append(pending, *s); len(pending) == readAtOnce {
				if err := flush(); err != nil {
					return done, err
				}
			}
		case s == nil || t.Key < s.Key: // of an earlier copy, and gone at the source since
			source.back()
			done.Removed++
			if !dry {
				if _, err := to.Txn(ctx, nil, []kv.Op{kv.Delete(t.Key)}); err != nil {
					return done, err
				}
			}
		case string(s.Value) == string(t.Value):
			done.Records++
			done.Same++
		default:
			done.Records++
			pending = append(pending, *s)
		}
	}
}

// verify reads both sides again, and then lets servers start on the copy.
func verify(ctx context.Context, from, to kv.Store) error {
	source, target := newReader(from), newReader(to)
	for {
		s, err := source.next(ctx)
		if err != nil {
			return err
		}
		t, err := target.next(ctx)
		if err == nil && t != nil && t.Key == Copying {
			t, err = target.next(ctx)
		}
		switch {
		case err != nil:
			return err
		case s == nil && t == nil:
			_, err := to.Txn(ctx, nil, []kv.Op{kv.Delete(Copying)})
			return err
		case s == nil || t == nil || s.Key != t.Key || string(s.Value) != string(t.Value):
			return errors.New("the copy is not what was copied: somebody has written to one of the two meanwhile; " +
				"end the servers on both, and copy once more")
		}
	}
}

// readAtOnce is how many records are read, and written, in one go.
const readAtOnce = 512

// reader gives all records of an engine one by one.
type reader struct {
	store kv.Store
	recs  []kv.Record
	last  *kv.Record
	again bool
	after string
	ended bool
}

func newReader(s kv.Store) *reader { return &reader{store: s} }

// back has next give the same record again.
func (r *reader) back() { r.again = true }

// next gives the next record, and nil at the end.
func (r *reader) next(ctx context.Context) (*kv.Record, error) {
	if r.again {
		r.again = false
		return r.last, nil
	}
	r.last = nil
	if len(r.recs) == 0 && !r.ended {
		recs, err := r.store.List(ctx, "", r.after, readAtOnce)
		if err != nil {
			return nil, err
		}
		if r.recs = recs; len(recs) == 0 {
			r.ended = true
		} else {
			r.after = recs[len(recs)-1].Key
		}
	}
	if len(r.recs) > 0 {
		r.last, r.recs = &r.recs[0], r.recs[1:]
	}
	return r.last, nil
}
