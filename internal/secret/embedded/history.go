package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// Describe replaces a secret's description.
func (s *Store) Describe(ctx context.Context, org id.ID, name string, d secret.Description) error {
	_, err := s.submit(ctx, org, func(p *plan.Plan) error { return p.Describe(name, d) })
	return err
}

// Restore sets the value of an earlier version as a new one.
func (s *Store) Restore(ctx context.Context, org id.ID, name string, n int, by string) (secret.Outcome, error) {
	at := s.now()
	return s.submit(ctx, org, func(p *plan.Plan) error { return p.Restore(name, n, by, at) })
}

// Mark deletes, brings back or destroys versions of a secret.
func (s *Store) Mark(ctx context.Context, org id.ID, name string, m secret.Marking) (secret.Outcome, error) {
	at, m := s.now(), m.Clone()
	return s.submit(ctx, org, func(p *plan.Plan) error { return p.Mark(name, m, at) })
}

// Remove removes a secret for good.
func (s *Store) Remove(ctx context.Context, org id.ID, name string, deletedOnly bool) error {
	at := s.now()
	_, err := s.submit(ctx, org, func(p *plan.Plan) error { return p.Remove(name, deletedOnly, at) })
	return err
}

// Maintain removes for good what was deleted secret.KeepDeleted ago: at once, and then every hour until ctx ends.
// Report hears of what went wrong; it is tried again.
func (s *Store) Maintain(ctx context.Context, report func(error)) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep removes for good what was deleted secret.KeepDeleted ago. What cannot be told of keeps no other waiting.
func (s *Store) Sweep(ctx context.Context) error {
	before := s.now().Add(-secret.KeepDeleted).UnixMilli()
	var wrong error
	for after := ""; ; {
		recs, err := s.kv.List(ctx, records.TrashRoot, after, 1)
		if err != nil || len(recs) == 0 {
			return errors.Join(wrong, translate(err))
		}
		after = recs[0].Key
		place, kind, err := records.Parse(recs[0].Key)
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		if at, _ := kind.Deleted(); at > before {
			after = records.TrashPrefix(place.Org) + records.BehindAll // what follows of the organisation is younger
			continue
		}
		name, err := s.from.NameOf(ctx, place, kind, recs[0].Value)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("the name in record %q: %w", recs[0].Key, err))
			continue
		}
		_, err = s.submit(ctx, place.Org, func(p *plan.Plan) error { return p.Expire(recs[0].Key, kind, name) })
		if s.gone != nil && errors.Is(err, s.gone) { // it is being deleted, with all that it has
			after = records.TrashPrefix(place.Org) + records.BehindAll
			continue
		}
		if errors.Is(err, keyring.ErrOpen) {
			wrong = errors.Join(wrong, err)
		} else if err != nil {
			return errors.Join(wrong, err)
		}
	}
}
