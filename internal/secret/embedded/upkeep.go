package embedded

import (
	"context"
	"errors"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/embedded/rewrite"
	"strongroom/internal/secret/embedded/verify"
)

// Prefixes are what the keys of the store's records begin with.
var Prefixes = []string{records.Root, commitlog.Root, records.TrashRoot, rewrite.Record, purge.Root}

// Verify looks at every record; see verify.Secrets.
func (s *Store) Verify(ctx context.Context, report func(key, what string)) ([]id.ID, error) {
	return verify.Secrets(ctx, s.from, s.log, report)
}

// Rewrite seals every record anew that is of an older term, and gives the current one; see rewrite.Secrets.
func (s *Store) Rewrite(ctx context.Context, report func(rewrite.Progress)) (uint32, error) {
	return rewrite.Secrets(ctx, s.from, rewriting{s}, report)
}

// rewriting is the rewrite.Store.
type rewriting struct{ *Store }

// AwaitChanges waits for the changes that are being made: they were planned before, those that come are after.
func (s rewriting) AwaitChanges() {
	s.writes.Lock()
	//lint:ignore SA2001 nothing is done in between: it is the wait that counts
	s.writes.Unlock()
}

// Change has a change planned and made in its turn.
func (s rewriting) Change(ctx context.Context, org id.ID, planned func(*plan.Plan) error) error {
	_, err := s.submit(ctx, org, planned)
	return err
}

// AllNames reads the names while nobody changes them.
func (s rewriting) AllNames(ctx context.Context, org id.ID) (all []string, err error) {
	answer := make(chan []string, 1) // the caller may leave
	err = s.queue.Alone(ctx, org, func(ctx context.Context) error {
		if _, err := s.settle(ctx, org); err != nil {
			return err
		}
		var all []string
		for _, prefix := range []string{records.Head(org), records.TrashPrefix(org)} {
			for rec, err := range kv.Each(ctx, s.kv, prefix, s.page) {
				if err != nil {
					return err
				}
				place, kind, err := records.Parse(rec.Key)
				if err != nil || !kind.HoldsName() {
					continue
				}
				name, err := s.from.NameOf(ctx, place, kind, rec.Value)
				switch {
				case err == nil:
					all = append(all, name)
				case !errors.Is(err, keyring.ErrOpen) && !errors.Is(err, keyring.ErrTerm):
					return err
				}
			}
		}
		slices.Sort(all)
		answer <- slices.Compact(all)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return <-answer, nil
}
