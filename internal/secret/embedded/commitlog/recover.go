package commitlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// ErrLost is a large change that is committed, and of which nothing says any more which it is. What is read without it
// may be in part from before.
var ErrLost = errs.New(errs.Internal, "a large change of the organization's secrets was begun, and the record of it "+
	"is gone, so that a part of what is there may be from before it; influxd check tells more; restore a backup")

// Recover finishes what an earlier process left half-done: it carries out the large changes that were committed and
// removes those that were not. Call it at a start; it looks at nothing but what is staged. One that cannot be carried
// out keeps no other from it.
func (l *Log) Recover(ctx context.Context) error {
	var failed error
	for after := ""; ; {
		recs, err := l.kv.List(ctx, Root, after, 1)
		if err != nil || len(recs) == 0 {
			return errors.Join(failed, err)
		}
		after = recs[0].Key
		org, rest, err := records.OrgOf(Root, after)
		if err != nil { // check tells of it
			failed = errors.Join(failed, err)
			continue
		}
		err = l.recover(ctx, org, rest)
		if ctx.Err() != nil || errors.Is(err, kv.ErrUnavailable) || errors.Is(err, kv.ErrClosed) {
			return errors.Join(failed, err)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("organisation %s: %w", org, err))
			after = Prefix(org) + "\xff"
		} else if batch, _, isStep := strings.Cut(rest, "/"); isStep {
			// Past the whole batch; its first record may have gone with the journal.
			after = batchPrefix(org, batch) + "\xff"
		}
	}
}

// recover carries out the organisation's pending change, or removes the batch that a staged record is of.
func (l *Log) recover(ctx context.Context, org id.ID, rest string) error {
	if err := l.Finish(ctx, org); err != nil {
		return errors.Join(err, l.hold(ctx, org))
	}
	batch, _, isStep := strings.Cut(rest, "/")
	if !isStep {
		return nil
	}
	head, _, err := l.headNow(ctx, org)
	if err != nil {
		return err
	}
	if head.Pending { // what is staged may be all that is left of the change
		return l.Lost(ctx, org)
	}
	if err := l.drop(ctx, org, batch); err != nil && !errors.Is(err, kv.ErrConflict) {
		return err
	}
	return nil
}

// hold keeps readers from a part of a change that cannot be carried out, and of which the head does not know.
func (l *Log) hold(ctx context.Context, org id.ID) error {
	head, rec, err := l.headNow(ctx, org)
	if err != nil || head.Pending {
		return err
	}
	journal, err := l.kv.Get(ctx, Key(org))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = l.kv.Txn(ctx, []kv.Cond{kv.Unchanged(rec), kv.Unchanged(journal)},
		[]kv.Op{head.asPending().Put(records.Head(org))})
	if errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}

func (l *Log) headNow(ctx context.Context, org id.ID) (Head, kv.Record, error) {
	rec, err := l.kv.Get(ctx, records.Head(org))
	if errors.Is(err, kv.ErrNotFound) {
		return Head{}, kv.Record{Key: records.Head(org)}, nil
	}
	if err != nil {
		return Head{}, rec, err
	}
	head, err := ParseHead(rec)
	return head, rec, err
}

var errTooFast = errs.New(errs.Unavailable, "large changes of the organization's secrets follow each other too fast; "+
	"try again")

// Lost says why an organisation whose pending change was carried out, again and again, has one still: ErrLost where its
// head says so, and there is none. Both are of one moment: the head is the same before and after the change is looked
// for.
func (l *Log) Lost(ctx context.Context, org id.ID) error {
	head, before, err := l.headNow(ctx, org)
	if err != nil || !head.Pending {
		return cmp.Or(err, error(errTooFast))
	}
	if _, err := l.kv.Get(ctx, Key(org)); !errors.Is(err, kv.ErrNotFound) {
		return cmp.Or(err, error(errTooFast))
	}
	_, after, err := l.headNow(ctx, org)
	if err != nil || after.Rev != before.Rev {
		return cmp.Or(err, error(errTooFast))
	}
	return fmt.Errorf("organisation %s: %w", org, ErrLost)
}
