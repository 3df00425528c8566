package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/format"
)

// The bounds of one commit. More transactions than that wait for the next one; a commit this large takes as long as
// its data need, so that larger ones would gain nothing.
const (
	maxBatch      = 256
	maxBatchBytes = 8 << 20
)

// request is one waiting transaction. All it holds is its own: its caller may have gone when it is carried out.
type request struct {
	ctx   context.Context
	conds []kv.Cond
	ops   []operation
	size  int

	rev    int64
	err    error
	events []kv.Event // what watchers are told
	done   chan struct{}
}

// operation is a kv.Op, a value to put already in the form in which it is stored, but for the revision.
type operation struct {
	kind kv.OpKind
	key  string
	raw  []byte
}

// Txn carries out a transaction; see kv.Store.
func (db *DB) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := kv.Validate(conds, ops); err != nil {
		return 0, err
	}
	return db.txn(ctx, conds, ops)
}

// TxnAmple carries out a transaction that may be large; see kv.Ample.
func (db *DB) TxnAmple(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := kv.ValidateAmple(conds, ops); err != nil {
		return 0, err
	}
	return db.txn(ctx, conds, ops)
}

func (db *DB) txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	r := &request{ctx: ctx, conds: slices.Clone(conds), ops: make([]operation, len(ops)), done: make(chan struct{})}
	var room []byte // for the values of a large one, of which none is kept (recent.end)
	for _, op := range ops {
		r.size += len(op.Key) + len(op.Value)
	}
	if r.size > maxKept {
		room = make([]byte, 0, r.size+len(ops)*format.RevLen)
	}
	for i, op := range ops {
		r.ops[i] = operation{kind: op.Kind, key: op.Key}
		if op.Kind != kv.OpPut {
			continue
		}
		size := format.RevLen + len(op.Value)
		if cap(room)-len(room) < size {
			room = make([]byte, 0, size)
		}
		raw := room[len(room) : len(room)+size : len(room)+size]
		room = room[:len(room)+size]
		copy(raw[format.RevLen:], op.Value)
		r.ops[i].raw = raw
	}
	if err := db.join(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
		return r.rev, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// join puts the transaction into the queue.
func (db *DB) join(r *request) error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return kv.ErrClosed
	}
	select {
	case db.queue <- r:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// write is the one goroutine that writes: it takes every transaction that waits, commits them together and answers
// each, until the queue is closed and empty. A lone transaction waits for no other.
func (db *DB) write() {
	defer close(db.done)
	for first := range db.queue {
		batch, size := []*request{first}, first.size
	more:
		for len(batch) < maxBatch && size < maxBatchBytes {
			select {
			case r, ok := <-db.queue:
				if !ok {
					break more
				}
				batch, size = append(batch, r), size+r.size
			default:
				break more
			}
		}
		db.carryOut(batch)
		for _, r := range batch {
			close(r.done)
		}
		db.watchFreelist()
	}
}

// carryOut sets the outcome of every transaction of the batch. None may be answered before the commit: an outcome may
// rest on another transaction of the batch, a refused condition included.
func (db *DB) carryOut(batch []*request) {
	err := db.commit(batch)
	if errors.Is(err, kv.ErrFull) && len(batch) > 1 {
		// There may be room for some, and the one that deletes makes room for others.
		for _, r := range batch {
			if err := db.commit([]*request{r}); err != nil {
				r.rev, r.err = 0, err
			}
		}
		return
	}
	if err != nil {
		for _, r := range batch {
			r.rev, r.err = 0, err
		}
	}
}

// errNothing ends a commit in which no transaction has changed anything: there is nothing to sync.
var errNothing = errors.New("nothing to write")

// commit carries out the transactions one after another in one bbolt transaction. Each sees those before it; one whose
// condition fails or whose caller has gone writes nothing. Where commit fails, all have.
func (db *DB) commit(batch []*request) error {
	if err := db.state.failure(); err != nil {
		return err
	}
	if err := db.present(); err != nil {
		return fmt.Errorf("%s: %w", db.path, err)
	}
	db.recent.begin(batch)
	made := false
	defer func() { db.recent.end(batch, made) }()
	var before, after int64
	err := db.guard(func() error {
		db.first.Touch()
		return db.update(func(tx *bbolt.Tx) error {
			meta, data := tx.Bucket(format.MetaBucket), tx.Bucket(format.DataBucket)
			var err error
			if before, err = revision(meta); err != nil {
				return err
			}
			after = before
			for _, r := range batch {
				r.events = nil
				if r.rev, r.err = 0, r.ctx.Err(); r.err != nil {
					continue
				}
				ok, err := holds(data, r.conds)
				if err != nil {
					return err
				}
				if !ok {
					r.err = kv.ErrConflict
					continue
				}
				after++
				if r.events, err = apply(data, r.ops, after); err != nil {
					return err
				}
				r.rev = after
			}
			if after == before {
				return errNothing
			}
			return meta.Put(format.RevisionKey, binary.BigEndian.AppendUint64(nil, uint64(after)))
		})
	})
	if err == nil || errors.Is(err, errNothing) {
		made = true
		if err == nil {
			if err = db.present(); err != nil { // what went into it is lost, whoever reads it meanwhile
				err = fmt.Errorf("%s: %w", db.path, err)
			}
			db.state.ended(err)
		}
		for _, r := range batch {
			if r.rev > 0 {
				db.watchers.tell(r.rev, r.events)
			}
		}
		if err != nil && !errors.Is(err, errNothing) {
			return err
		}
		return nil
	}
	err = db.fault(err, before)
	db.state.ended(err)
	return err
}

// fault says what a failed commit has left behind. bbolt writes new pages to free places, syncs them, and only then
// the page that refers to them: where that page is the old one still, nothing was written, and the next commit may try
// again. Where it is the new one and its sync has failed, what the disk holds is not known and cannot be found out
// (the kernel may have dropped the pages it could not write), so no more is written on top of it.
func (db *DB) fault(err error, before int64) error {
	now := int64(-1)
	if err := db.state.lost(); err != nil {
		return err
	}
	viewErr := db.guard(func() error {
		return db.read(func(tx *bbolt.Tx) (err error) {
			now, err = revision(tx.Bucket(format.MetaBucket))
			return err
		})
	})
	switch {
	case viewErr != nil || now != before:
		db.state.fails(fmt.Errorf("%w: writing to %s failed earlier (%w): nothing is written until influxd is "+
			"restarted; check the disk", kv.ErrFault, db.path, err))
		return fmt.Errorf("%w: writing to %s: %w", kv.ErrFault, db.path, err)
	case isFull(err):
		return fmt.Errorf("%w: writing to %s: %w", kv.ErrFull, db.path, err)
	}
	return fmt.Errorf("%w: writing to %s: %w", kv.ErrFault, db.path, err)
}

// isFull reports whether the error is one of there being no more room: on the disk, in the quota, below the process's
// or the configured limit of the file's size.
func isFull(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, berrors.ErrMaxSizeReached} {
		// bbolt passes on no more than the text of what kept the file from growing (db.grow).
		resize := strings.HasPrefix(err.Error(), "file resize error")
		if errors.Is(err, full) || resize && strings.HasSuffix(err.Error(), full.Error()) {
			return true
		}
	}
	return false
}

// holds reports whether all conditions do.
func holds(data *bbolt.Bucket, conds []kv.Cond) (bool, error) {
	for _, c := range conds {
		raw := data.Get([]byte(c.Key))
		switch {
		case raw == nil:
			if c.Rev != 0 {
				return false, nil
			}
		case len(raw) < format.RevLen:
			return false, errors.New("the file is damaged: a record without a revision")
		case int64(binary.BigEndian.Uint64(raw)) != c.Rev:
			return false, nil
		}
	}
	return true, nil
}

// apply carries out the operations at the revision, and gives what they changed.
func apply(data *bbolt.Bucket, ops []operation, rev int64) (events []kv.Event, err error) {
	var key []byte // bbolt copies what it keeps of it
	events = make([]kv.Event, 0, len(ops))
	for _, op := range ops {
		key = append(key[:0], op.key...)
		switch op.kind {
		case kv.OpPut:
			binary.BigEndian.PutUint64(op.raw, uint64(rev))
			err = data.Put(key, op.raw)
			events = append(events, kv.Event{Record: kv.Record{Key: op.key, Value: op.raw[format.RevLen:], Rev: rev}})
		case kv.OpDelete:
			if data.Get(key) == nil {
				continue
			}
			err = data.Delete(key)
			events = append(events, kv.Event{Record: kv.Record{Key: op.key, Rev: rev}, Deleted: true})
		case kv.OpDeletePrefix:
			events, err = deletePrefix(data, key, events, rev)
		}
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

// deletePrefix collects before it deletes: a bbolt cursor may skip keys when its bucket changes below it.
func deletePrefix(data *bbolt.Bucket, prefix []byte, events []kv.Event, rev int64) ([]kv.Event, error) {
	first := len(events)
	cursor := data.Cursor()
	for k, _ := cursor.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		events = append(events, kv.Event{Record: kv.Record{Key: string(k), Rev: rev}, Deleted: true})
	}
	for _, e := range events[first:] {
		if err := data.Delete([]byte(e.Key)); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// revision reads the revision of the last transaction.
func revision(meta *bbolt.Bucket) (int64, error) {
	raw := meta.Get(format.RevisionKey)
	if len(raw) != 8 {
		return 0, errors.New("the file is damaged: it has no revision")
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}
