// Package bolt is the kv.Store of a single server: one bbolt file, locked by the process that has it open.
//
// The file has two buckets. One holds every key with its record, eight bytes of revision (big-endian) and the value;
// the other the format marker and the revision of the last transaction. Every transaction is on disk before it is
// answered: bbolt's syncs are never turned off. Transactions that arrive while another commits share the next commit,
// so that many writers cost one sync, not one each (writer.go).
package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/folder"
	"strongroom/internal/kv/bolt/format"
	"strongroom/internal/kv/bolt/mapping"
)

// DB is an open file. It is a kv.Store.
type DB struct {
	path   string
	place  string // where the file is that the path leads to: what is made beside it is there
	bolt   *bbolt.DB
	file   *os.File    // bbolt's own
	opened fs.FileInfo // what the path led to
	lock   folder.Lock // on the file's folder
	state  state
	recent *recent
	first  *mapping.FirstPages

	watchers watchers
	holds    heldNames

	copies     chan struct{}                 // has one for each backup that is being made
	directTime time.Duration                 // the constant, and
	room       func(*os.File) (int64, error) // copying.Room; a test puts others in their place

	// update is bolt.Update; a test puts a failing one in its place.
	update func(func(*bbolt.Tx) error) error

	mu      sync.RWMutex // held for reading while a transaction joins the queue, for writing by Close
	closed  bool
	queue   chan *request
	commits int           // the writer's
	done    chan struct{} // closed when the writer has ended
}

var (
	_ kv.Store = (*DB)(nil)
	_ kv.Ample = (*DB)(nil)
)

// Get returns one record, from memory where it was read not long ago.
func (db *DB) Get(ctx context.Context, key string) (kv.Record, error) {
	if err := ctx.Err(); err != nil {
		return kv.Record{}, err
	}
	if rec, ok := db.recent.get(key); ok {
		return rec, nil
	}
	moment := db.recent.moment()
	rec := kv.Record{Key: key}
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		raw := tx.Bucket(format.DataBucket).Get([]byte(key))
		if raw == nil {
			return kv.ErrNotFound
		}
		var err error
		rec.Rev, rec.Value, err = format.Decode(raw)
		return err
	})
	if err != nil {
		return kv.Record{}, err
	}
	db.recent.add(rec, moment)
	return rec, nil
}

// each reads the records whose keys begin with prefix and come after from, or with back before it, as long as f says.
func (db *DB) each(ctx context.Context, prefix, from string, back bool, f func(k, raw []byte) (bool, error)) error {
	return db.view(ctx, func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(format.DataBucket).Cursor()
		var k, raw []byte
		next := cursor.Next
		if !back {
			if k, raw = cursor.Seek([]byte(max(prefix, from))); k != nil && string(k) == from {
				k, raw = next()
			}
		} else {
			next = cursor.Prev
			end := kv.Behind(prefix, from)
			if end != "" {
				k, _ = cursor.Seek([]byte(end))
			}
			if k == nil { // all are before it
				k, raw = cursor.Last()
			} else {
				k, raw = next()
			}
		}
		for n := 1; k != nil && bytes.HasPrefix(k, []byte(prefix)); n++ {
			if n%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if more, err := f(k, raw); err != nil || !more {
				return err
			}
			k, raw = next()
		}
		return nil
	})
}

func (db *DB) list(ctx context.Context, prefix, from string, back bool, limit int) (recs []kv.Record, err error) {
	if limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, limit)
	}
	err = db.each(ctx, prefix, from, back, func(k, raw []byte) (bool, error) {
		rev, value, err := format.Decode(raw)
		recs = append(recs, kv.Record{Key: string(k), Value: value, Rev: rev})
		return len(recs) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

// List returns one page of the records whose keys begin with prefix.
func (db *DB) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	return db.list(ctx, prefix, after, false, limit)
}

// ListBack returns one page from the end.
func (db *DB) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	return db.list(ctx, prefix, before, true, limit)
}

// Skip passes over records; see kv.Skipper.
func (db *DB) Skip(ctx context.Context, prefix, from string, back bool, n int) (last string, passed int, err error) {
	if n <= 0 {
		return "", 0, ctx.Err()
	}
	err = db.each(ctx, prefix, from, back, func(k, _ []byte) (bool, error) {
		if passed++; passed == n {
			last = string(k)
		}
		return passed < n, nil
	})
	return last, passed, err
}

var _ kv.Prober = (*DB)(nil)

// Probe tells which keys are there; see kv.Prober.
func (db *DB) Probe(ctx context.Context, keys []string) (there []bool, err error) {
	err = db.view(ctx, func(tx *bbolt.Tx) error {
		there = format.There(tx.Bucket(format.DataBucket).Cursor(), keys)
		return nil
	})
	return there, err
}

// Close waits for the transactions that have joined the queue and releases the file.
func (db *DB) Close() error {
	db.mu.Lock()
	already := db.closed
	if !already {
		db.closed = true
		close(db.queue)
	}
	db.mu.Unlock()
	<-db.done
	if already {
		return nil
	}
	db.recent.close()
	err := db.keepFreelist()
	folder.RemoveHolder(db.place) // while the file is still ours
	if db.state.lost() == nil {   // where bbolt answers
		err = errors.Join(err, db.bolt.Close())
	}
	if err := errors.Join(err, db.lock.Close()); err != nil {
		return fmt.Errorf("closing %s: %w", db.path, err)
	}
	return nil
}

// view reads in one bbolt transaction.
func (db *DB) view(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.state.lost(); err != nil {
		return err
	}
	err := db.guard(func() error { return db.read(f) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return kv.ErrClosed
	}
	return err
}

// read is bbolt's View, where it can be entered.
func (db *DB) read(f func(*bbolt.Tx) error) error {
	db.first.Touch()
	return db.bolt.View(f)
}

// guard is guard, and looks after a memory fault whether bbolt can be asked any more.
func (db *DB) guard(f func() error) error {
	err := guard(f)
	if errors.Is(err, errMemory) {
		db.probe()
	}
	return err
}

// probeTime is how long bbolt may take for a transaction that does nothing.
const probeTime = time.Second

// probe finds out whether bbolt still answers. Where the fault came while it held a lock of its own, as it does for the
// file's first pages, it never will, and whoever asks would wait for good.
func (db *DB) probe() {
	done := make(chan error, 1)
	go func() { done <- guard(func() error { return db.read(func(*bbolt.Tx) error { return nil }) }) }()
	select {
	case err := <-done:
		if !errors.Is(err, errMemory) {
			return
		}
	case <-time.After(probeTime):
	}
	db.state.loses(fmt.Errorf("%w: the file %s cannot be read any more; restart influxd, and see influxd check",
		kv.ErrFault, db.path))
}

// errMemory is a page of the file that cannot be read.
var errMemory = errors.New("a page cannot be read")

// guard turns a panic of bbolt's into an error: it panics where the file's pages contradict themselves, and one
// damaged page must not end a server that can still answer for the others. A page that cannot be read at all comes as
// a memory fault, which SetPanicOnFault makes a panic too.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // a memory fault
			err = fmt.Errorf("the file is damaged or its disk fails: %w (%v); restore it from a backup", errMemory, p)
		default:
			err = fmt.Errorf("the file is damaged (%v); restore it from a backup", p)
		}
	}()
	return f()
}
