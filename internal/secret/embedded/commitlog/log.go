// Package commitlog changes an organisation's records in the embedded store, as many as a change has, all or none.
//
// What fits one transaction is one; over a kv.Ample that is most. A larger change goes through four stages, each a
// transaction or several:
//
//  1. Its steps are staged, one record each: staged/<org>/<batch>/<number>. Nobody looks at them.
//  2. It is committed: one transaction puts the journal, staged/<org>/journal, which names the batch, and marks the
//     organisation's head as pending. From here on it has happened. Until the journal is gone no other change of the
//     organisation goes through (each has the condition that there is none), and no reader reads past the head.
//  3. Each step is carried out in a transaction with the condition that the journal is still that one. Doing a step
//     twice does no harm, so that several may be at it, and whoever comes after a crash starts from the first.
//  4. One transaction removes the journal and the batch, and puts the head to rest.
//
// Whoever meets the journal, reader or writer, does 3 and 4 before anything else; so does Recover at a start. What a
// crash leaves behind in 1 is removed by Recover. Should Recover of another server take a batch that is still being
// staged for such, its writer finds its first step gone by the condition it puts on it, and plans and stages anew.
//
// Errors are the engine's (package kv), but for those that say otherwise.
package commitlog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/singleflight"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// Root is what the keys of all that is staged begin with.
const Root = "staged/"

const (
	name = "journal" // a batch's name is hexadecimal, and so another

	journalKind = "secrets journal"
	stepKind    = "secrets step"
)

// ErrTooMany is for who has met kv.ErrConflict too often.
var ErrTooMany = errs.New(errs.Conflict, "others change the organization's secrets at the same time; try again")

// Key is the key of an organisation's journal.
func Key(org id.ID) string { return Prefix(org) + name }

func batchPrefix(org id.ID, batch string) string { return Prefix(org) + batch + "/" }
func stepKey(org id.ID, batch string, n int) string {
	return fmt.Sprintf("%s%06d", batchPrefix(org, batch), n)
}

func stepBelongs(batch string, n int) keyring.Belongs {
	return keyring.Belongs{Kind: stepKind, Key: fmt.Sprintf("%s/%06d", batch, n)}
}

// Prefix is what the keys of all that is staged of an organisation begin with. Without the journal, it is nothing that
// anybody carries out.
func Prefix(org id.ID) string { return Root + org.String() + "/" }

// Log makes changes over an engine. It is safe for use by many goroutines.
type Log struct {
	kv       kv.Store
	ample    kv.Ample // nil where the engine is none
	ring     *keyring.Keyring
	carrying singleflight.Group // the large changes being carried out, by organisation
}

// New returns a log whose steps the keyring seals. With ample, which is the same engine or nil, large changes are one
// transaction.
func New(store kv.Store, ample kv.Ample, ring *keyring.Keyring) *Log {
	return &Log{kv: store, ample: ample, ring: ring}
}

// entry is what the journal's record seals.
type entry struct {
	Batch string `json:"batch"`
	Steps int    `json:"steps"`
}

// Apply makes the organisation's records what they are to be, and puts its head anew with the version and time. It
// gives kv.ErrConflict, with nothing done, where a condition does not hold, that the head is as it was among them, or
// a large change is pending. A record that no transaction takes is errs.RequestTooLarge. After any other error the
// change may have been made. What it gives else is the head's revision, or 0 where that is not known. The keys of the
// records come in any order; they are sorted fast where those of each kind
// are in order.
func (l *Log) Apply(ctx context.Context, org id.ID, was []kv.Cond, head Head, all Records,
	keys []string) (int64, error) {
	txn := l.kv.Txn
	fits := all.Fit()
	if !fits && l.ample != nil {
		txn, fits = l.ample.TxnAmple, all.fitAmple()
	}
	if fits {
		return txn(ctx, append([]kv.Cond{kv.Missing(Key(org))}, was...),
			all.opsWith(keys, kv.Put(records.Head(org), head.encode())))
	}
	steps, err := all.steps()
	if err != nil {
		return 0, err
	}
	batch := newBatch()
	first, err := l.stage(ctx, org, batch, steps)
	if err == nil {
		err = l.commit(ctx, org, batch, was, head, first, len(steps))
	}
	if err != nil {
		// A commit may fail for us and have been made: then there is a journal, and it is that of the batch.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), carryTime)
		defer cancel()
		dropErr := l.drop(look, org, batch)
		if dropErr == nil {
			return 0, err
		}
		made := false
		if errors.Is(dropErr, kv.ErrConflict) {
			made, dropErr = l.committed(look, org, batch)
		}
		if !made {
			return 0, errors.Join(err, dropErr)
		}
	}
	// The change has been made, whatever comes now. Where it cannot be carried out, as on a full disk, readers look at
	// what is staged, or wait for whoever carries it out.
	_ = l.Finish(ctx, org)
	return 0, nil
}

// committed reports whether the journal is that of the batch.
func (l *Log) committed(ctx context.Context, org id.ID, batch string) (bool, error) {
	rec, err := l.kv.Get(ctx, Key(org))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e, err := l.read(ctx, org, rec)
	return err == nil && e.Batch == batch, err
}

func newBatch() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// stage writes the steps, as many as fit in one transaction, and gives the first one's record, on which all that
// follows puts its condition.
func (l *Log) stage(ctx context.Context, org id.ID, batch string, steps []Records) (kv.Cond, error) {
	first := kv.Missing(stepKey(org, batch, 0))
	var ops []kv.Op
	size := 0
	flush := func() error {
		rev, err := l.kv.Txn(ctx, []kv.Cond{first}, ops)
		if first.Rev == 0 {
			first.Rev = rev
		}
		ops, size = nil, 0
		return err
	}
	for n, st := range steps {
		value, err := l.ring.Seal(org, stepBelongs(batch, n), st.encode())
		if err != nil {
			return first, err
		}
		op := kv.Put(stepKey(org, batch, n), value)
		if len(ops) > 0 && (len(ops) == kv.MaxOps || size+len(op.Key)+len(op.Value) > MaxBytes) {
			if err := flush(); err != nil {
				return first, err
			}
		}
		ops, size = append(ops, op), size+len(op.Key)+len(op.Value)
	}
	return first, flush()
}

// commit puts the journal, where there is no other and the conditions hold.
func (l *Log) commit(ctx context.Context, org id.ID, batch string, was []kv.Cond, head Head, first kv.Cond,
	steps int) error {
	plain, err := json.Marshal(entry{batch, steps})
	if err != nil {
		return err
	}
	value, err := l.ring.Seal(org, keyring.Belongs{Kind: journalKind}, plain)
	if err != nil {
		return err
	}
	_, err = l.kv.Txn(ctx, append([]kv.Cond{first, kv.Missing(Key(org))}, was...),
		[]kv.Op{kv.Put(Key(org), value), kv.Put(records.Head(org), head.asPending().encode())})
	return err
}

// drop removes a batch that is not committed; ErrConflict where some batch is.
func (l *Log) drop(ctx context.Context, org id.ID, batch string) error {
	_, err := l.kv.Txn(ctx, []kv.Cond{kv.Missing(Key(org))}, []kv.Op{kv.DeletePrefix(batchPrefix(org, batch))})
	return err
}
