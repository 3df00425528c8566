// Package purge removes all that the embedded store keeps of an organisation.
//
// That may be more than one transaction should take: everybody else would wait for it. The first transaction removes
// the organisation's head, without which nothing of it is read any more, and the journal of a large change under way,
// and leaves a mark, purging/<org>. The records go after that, some at a time, and the mark goes last. A crash in
// between is finished by Recover, from the mark. Whoever puts the first record of an organisation has the condition
// that there is no mark, and finishes what it stands for before.
//
// Errors are the engine's (package kv), and kv.ErrOver of a context of kv.While, whose condition each transaction has.
package purge

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Root is what the keys of all marks begin with.
const Root = "purging/"

// Key is the key of an organisation's mark.
func Key(org id.ID) string { return Root + org.String() }

// someRecords is about how many records Some removes.
const someRecords = 20_000

// Begin puts the mark, where there is none: the organisation has nothing from then on.
func Begin(ctx context.Context, store kv.Store, org id.ID) error {
	_, err := store.Txn(ctx, kv.Standing(ctx, []kv.Cond{kv.Missing(Key(org))}), []kv.Op{kv.Put(Key(org), []byte{}),
		kv.Delete(records.Head(org)), kv.Delete(commitlog.Key(org)), kv.Delete(records.Dated(org))})
	if err = kv.Over(ctx, store, err); errors.Is(err, kv.ErrConflict) {
		return nil // it is there
	}
	return err
}

// Some removes some of what a mark stands for, and reports whether there is more of it. Without a mark it does nothing.
func Some(ctx context.Context, store kv.Store, org id.ID) (more bool, err error) {
	mark, err := store.Get(ctx, Key(org))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	still := kv.Standing(ctx, []kv.Cond{kv.Unchanged(mark)})
	left := someRecords
	for _, prefix := range []string{records.Prefix(org), records.TrashPrefix(org), commitlog.Prefix(org)} {
		n, err := kv.DeleteSome(ctx, store, still, prefix, left)
		if errors.Is(err, kv.ErrConflict) {
			return true, nil // somebody else is at it as well, and was faster
		}
		if err != nil {
			return false, err
		}
		if left -= n; left <= 0 {
			return true, nil
		}
	}
	_, err = store.Txn(ctx, still, []kv.Op{kv.Delete(mark.Key)})
	if err = kv.Over(ctx, store, err); errors.Is(err, kv.ErrConflict) {
		return true, nil
	}
	return false, err
}

// Finish removes all of what a mark stands for. Without a mark it does nothing.
func Finish(ctx context.Context, store kv.Store, org id.ID) error {
	for {
		if more, err := Some(ctx, store, org); err != nil || !more {
			return err
		}
	}
}

// Recover finishes what an earlier process left half-done. Call it at a start.
func Recover(ctx context.Context, store kv.Store) error {
	for after := ""; ; {
		recs, err := store.List(ctx, Root, after, 1)
		if err != nil || len(recs) == 0 {
			return err
		}
		after = recs[0].Key
		org, err := OrgOf(after)
		if err != nil {
			return err
		}
		if err := Finish(ctx, store, org); err != nil {
			return fmt.Errorf("organisation %s: %w", org, err)
		}
	}
}

// OrgOf gives the organisation of a mark.
func OrgOf(key string) (id.ID, error) {
	org, err := id.Parse(key[len(Root):])
	if err != nil {
		return 0, fmt.Errorf("record %q names no organisation", key)
	}
	return org, nil
}
