package sealed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/sealed/layout"
)

// A large change goes through four stages, each a transaction or several:
//
//  1. Its steps are staged, one record each: staged/<org>/<batch>/<number>. Nobody looks at them.
//  2. It is committed: one transaction puts the journal, staged/<org>/journal, which names the batch, and marks the head
//     as pending. From here on it has happened. Until the journal is gone no other change of the organisation goes through
//     (each has the condition that there is none), and no reader reads past the head.
//  3. Each step is carried out in a transaction with the condition that the journal is still that one. Doing a step twice
//     does no harm, so that several may be at it, and whoever comes after a crash starts from the first.
//  4. One transaction removes the journal and the batch, and puts the head to rest.
//
// Whoever meets the journal, reader or writer, does 3 and 4 before anything else; so does Recover at a start. What a
// crash leaves behind in 1 is removed by Recover. Should Recover of another server take a batch that is still being staged for
// such, its writer finds its first step gone by the condition it puts on it, and plans and stages anew.

func stagePrefix(org id.ID) string               { return stagedRoot + org.String() + "/" }
func journalKey(org id.ID) string                { return stagePrefix(org) + journalName }
func batchPrefix(org id.ID, batch string) string { return stagePrefix(org) + batch + "/" }
func stepKey(org id.ID, batch string, n int) string {
	return fmt.Sprintf("%s%06d", batchPrefix(org, batch), n)
}

const (
	stagedRoot  = "staged/"
	journalName = "journal" // a batch's name is hexadecimal, and so another

	journalKind = "secrets journal"
	stepKind    = "secrets step"
)

// stepsAtOnce is how many steps are read and carried out at the same time; each is at most a transaction's size.
const stepsAtOnce = 8

// journal is what the journal's record seals.
type journal struct {
	Batch string `json:"batch"`
	Steps int    `json:"steps"`
}

func newBatch() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// applyLarge stages the steps, commits them and carries them out. kv.ErrConflict, with nothing done, where the
// organisation's head is not as it was, or somebody has removed what was staged.
func (s *Store) applyLarge(ctx context.Context, org id.ID, head kv.Cond, steps []records) error {
	batch := newBatch()
	first, err := s.stage(ctx, org, batch, steps)
	if err == nil {
		err = s.commit(ctx, org, batch, head, first, len(steps))
	}
	if err == nil {
		// Where the disk is full now, readers look at what is staged: the change has been made.
		if err = s.finish(ctx, org); errors.Is(err, kv.ErrFull) {
			return nil
		}
		return err
	}
	// Not where the journal has it after all: a commit may fail for us and have been made.
	if dropErr := s.drop(context.WithoutCancel(ctx), org, batch); dropErr != nil && !errors.Is(dropErr, kv.ErrConflict) {
		return errors.Join(err, dropErr)
	}
	return err
}

// stage writes the steps, as many as fit in one transaction, and gives the first one's record, on which all that
// follows puts its condition.
func (s *Store) stage(ctx context.Context, org id.ID, batch string, steps []records) (kv.Cond, error) {
	first := kv.Missing(stepKey(org, batch, 0))
	var ops []kv.Op
	size := 0
	flush := func() error {
		rev, err := s.kv.Txn(ctx, []kv.Cond{first}, ops)
		if first.Rev == 0 {
			first.Rev = rev
		}
		ops, size = nil, 0
		return err
	}
	for n, st := range steps {
		value, err := s.ring.Seal(org, stepBelongs(batch, n), st.encode())
		if err != nil {
			return first, err
		}
		op := kv.Put(stepKey(org, batch, n), value)
		if len(ops) > 0 && (len(ops) == kv.MaxOps || size+len(op.Key)+len(op.Value) > stepBytes) {
			if err := flush(); err != nil {
				return first, err
			}
		}
		ops, size = append(ops, op), size+len(op.Key)+len(op.Value)
	}
	return first, flush()
}

func stepBelongs(batch string, n int) keyring.Belongs {
	return keyring.Belongs{Kind: stepKind, Key: fmt.Sprintf("%s/%06d", batch, n)}
}

// commit puts the journal, where there is no other and the head is as it was.
func (s *Store) commit(ctx context.Context, org id.ID, batch string, head, first kv.Cond, steps int) error {
	plain, err := json.Marshal(journal{batch, steps})
	if err != nil {
		return err
	}
	value, err := s.ring.Seal(org, keyring.Belongs{Kind: journalKind}, plain)
	if err != nil {
		return err
	}
	_, err = s.kv.Txn(ctx, []kv.Cond{first, kv.Missing(journalKey(org)), head},
		[]kv.Op{kv.Put(journalKey(org), value), kv.Put(layout.Head(org), headPending)})
	return err
}

// finish carries out the organisation's pending change, if there is one. Those who meet it at the same time share the
// work, which goes on when the one who began it leaves.
func (s *Store) finish(ctx context.Context, org id.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := s.carrying.DoChan(org.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), carryTime)
		defer cancel()
		return nil, s.carryOut(ctx, org)
	})
	select {
	case res := <-done:
		return res.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) carryOut(ctx context.Context, org id.ID) error {
	rec, err := s.kv.Get(ctx, journalKey(org))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	j, err := s.readJournal(ctx, org, rec)
	if err != nil {
		return err
	}
	// The steps touch different names, so that their order does not matter, and the engine may commit them together.
	still := []kv.Cond{kv.Unchanged(rec)}
	steps, stepCtx := errgroup.WithContext(ctx)
	steps.SetLimit(stepsAtOnce)
	for n := range j.Steps {
		steps.Go(func() error {
			st, err := s.readStep(stepCtx, org, j.Batch, n)
			if err != nil {
				return err
			}
			_, err = s.kv.Txn(stepCtx, still, st.ops())
			return err
		})
	}
	if err := steps.Wait(); err != nil {
		// Others may have finished it, or purged the organisation, and have removed the steps before we read them.
		if gone, goneErr := s.journalGone(ctx, rec); gone || goneErr != nil {
			return goneErr
		}
		return err
	}
	_, err = s.kv.Txn(ctx, still, []kv.Op{
		kv.Put(layout.Head(org), headAtRest), kv.Delete(rec.Key), kv.DeletePrefix(batchPrefix(org, j.Batch)),
	})
	if errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}

func (s *Store) readJournal(ctx context.Context, org id.ID, rec kv.Record) (journal, error) {
	var j journal
	plain, err := s.open(ctx, org, keyring.Belongs{Kind: journalKind}, rec.Value)
	if err == nil {
		err = json.Unmarshal(plain, &j)
	}
	if err != nil {
		return j, fmt.Errorf("the pending change of organisation %s (record %s): %w", org, rec.Key, err)
	}
	return j, nil
}

func (s *Store) readStep(ctx context.Context, org id.ID, batch string, n int) (records, error) {
	key := stepKey(org, batch, n)
	fail := func(err error) (records, error) {
		return nil, fmt.Errorf("the pending change of organisation %s (record %s): %w", org, key, err)
	}
	rec, err := s.kv.Get(ctx, key)
	if err != nil {
		return fail(err)
	}
	plain, err := s.open(ctx, org, stepBelongs(batch, n), rec.Value)
	if err != nil {
		return fail(err)
	}
	st, err := decodeStep(org, plain)
	if err != nil {
		return fail(err)
	}
	return st, nil
}

// journalGone reports whether the journal is another by now, or none.
func (s *Store) journalGone(ctx context.Context, rec kv.Record) (bool, error) {
	now, err := s.kv.Get(ctx, rec.Key)
	if errors.Is(err, kv.ErrNotFound) {
		return true, nil
	}
	return err == nil && now.Rev != rec.Rev, err
}

// drop removes a batch that is not committed; ErrConflict where some batch is.
func (s *Store) drop(ctx context.Context, org id.ID, batch string) error {
	_, err := s.kv.Txn(ctx, []kv.Cond{kv.Missing(journalKey(org))}, []kv.Op{kv.DeletePrefix(batchPrefix(org, batch))})
	return err
}
