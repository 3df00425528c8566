package commitlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/records"
)

// stepsAtOnce is how many steps are read and carried out at the same time; each is at most a transaction's size.
const stepsAtOnce = 8

// carryTime bounds the carrying out of a change, which goes on when who began it leaves. A disk that hangs
// hangs everything else too.
const carryTime = time.Minute

// Finish carries out the organisation's pending change, if there is one. Those who meet it at the same time share the
// work, which goes on when the one who began it leaves.
func (l *Log) Finish(ctx context.Context, org id.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := l.carrying.DoChan(org.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), carryTime)
		defer cancel()
		return nil, l.carryOut(ctx, org)
	})
	select {
	case res := <-done:
		return res.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Log) carryOut(ctx context.Context, org id.ID) error {
	rec, err := l.kv.Get(ctx, Key(org))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	committed, err := l.read(ctx, org, rec)
	if err != nil {
		return err
	}
	// The steps touch different names, so that their order does not matter, and the engine may commit them together.
	still := []kv.Cond{kv.Unchanged(rec)}
	steps, stepCtx := errgroup.WithContext(ctx)
	steps.SetLimit(stepsAtOnce)
	for n := range committed.Steps {
		steps.Go(func() error {
			st, err := l.readStep(stepCtx, org, committed.Batch, n)
			if err != nil {
				return err
			}
			_, err = l.kv.Txn(stepCtx, still, st.ops())
			return err
		})
	}
	if err := steps.Wait(); err != nil {
		// Others may have finished it, or purged the organisation, and have removed the steps before we read them.
		if gone, goneErr := l.gone(ctx, rec); gone || goneErr != nil {
			return goneErr
		}
		return err
	}
	head, err := l.head(ctx, org)
	if err != nil {
		return err
	}
	_, err = l.kv.Txn(ctx, still, []kv.Op{
		head.asAtRest().Put(records.Head(org)), kv.Delete(rec.Key), kv.DeletePrefix(batchPrefix(org, committed.Batch)),
	})
	if errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}

// head reads the organisation's head, which nobody changes while the journal is there. One that is missing or malformed
// does not keep the change from being carried out.
func (l *Log) head(ctx context.Context, org id.ID) (Head, error) {
	rec, err := l.kv.Get(ctx, records.Head(org))
	if errors.Is(err, kv.ErrNotFound) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	h, _ := ParseHead(rec)
	return h, nil
}

// Pending reads what the organisation's pending change makes of its records; nil where there is none any more. It is
// for a change that is committed and cannot be carried out because the disk is full. Reading goes on over it: what it
// says of a record holds, whether some of its steps have been carried out or none.
func (l *Log) Pending(ctx context.Context, org id.ID) (Records, error) {
	rec, err := l.kv.Get(ctx, Key(org))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	committed, err := l.read(ctx, org, rec)
	if err != nil {
		return nil, err
	}
	change := Records{}
	for n := range committed.Steps {
		st, err := l.readStep(ctx, org, committed.Batch, n)
		if err != nil {
			if gone, goneErr := l.gone(ctx, rec); gone || goneErr != nil {
				return nil, goneErr
			}
			return nil, err
		}
		maps.Copy(change, st)
	}
	return change, nil
}

func (l *Log) read(ctx context.Context, org id.ID, rec kv.Record) (entry, error) {
	var e entry
	plain, err := l.ring.OpenFresh(ctx, org, keyring.Belongs{Kind: journalKind}, rec.Value)
	if err == nil {
		err = json.Unmarshal(plain, &e)
	}
	if err != nil {
		return e, fmt.Errorf("the pending change of organisation %s (record %s): %w", org, rec.Key, err)
	}
	return e, nil
}

func (l *Log) readStep(ctx context.Context, org id.ID, batch string, n int) (Records, error) {
	key := stepKey(org, batch, n)
	fail := func(err error) (Records, error) {
		return nil, fmt.Errorf("the pending change of organisation %s (record %s): %w", org, key, err)
	}
	rec, err := l.kv.Get(ctx, key)
	if err != nil {
		return fail(err)
	}
	plain, err := l.ring.OpenFresh(ctx, org, stepBelongs(batch, n), rec.Value)
	if err != nil {
		return fail(err)
	}
	st, err := decode(org, plain)
	if err != nil {
		return fail(err)
	}
	return st, nil
}

// gone reports whether the journal is another by now, or none.
func (l *Log) gone(ctx context.Context, rec kv.Record) (bool, error) {
	now, err := l.kv.Get(ctx, rec.Key)
	if errors.Is(err, kv.ErrNotFound) {
		return true, nil
	}
	return err == nil && now.Rev != rec.Rev, err
}
