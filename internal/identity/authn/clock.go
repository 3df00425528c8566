package authn

import (
	"context"

	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// setRight gives a token that was made under a clock that was ahead the length it was to have: it ends so long after it
// is first seen in the past of its making, and not by as much later as the clock was wrong.
func (s *Service) setRight(ctx context.Context, a identity.Authorization) (identity.Authorization, error) {
	if ahead := a.CreatedAt.Sub(s.now()); ahead <= clockSlack {
		return a, nil
	}
	err := s.ChangeToken(ctx, a.TokenHash(), func(ctx context.Context) error {
		var r kv.Record
		var err error
		if a, r, err = record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", a.ID),
			ErrUnauthorized); err != nil {
			return err
		}
		now := s.now().UTC()
		ahead := a.CreatedAt.Sub(now)
		if ahead <= clockSlack || a.ExpiresAt == nil {
			return nil
		}
		ends := a.ExpiresAt.Add(-ahead)
		a.CreatedAt, a.UpdatedAt, a.ExpiresAt = now, now, &ends
		if a.Lease != nil {
			lease := *a.Lease
			lease.Until = lease.Until.Add(-ahead)
			a.Lease = &lease
		}
		if _, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{record.Put(r.Key, a)}); err == nil {
			s.log.WarnContext(ctx, "a token was made while the clock was ahead; its end is set right", "authorization",
				a.ID, "ahead", ahead, "ends", ends)
		}
		return err
	})
	return a, err
}

// setAllRight sets the time right at which each token ends, as setRight does for one.
func (s *Service) setAllRight(ctx context.Context) error {
	return record.ScanWhole(ctx, s.kv, "auth/", func(r kv.Record) (bool, error) {
		a, err := record.Decode[identity.Authorization](r)
		if err == nil && a.ExpiresAt != nil {
			_, err = s.setRight(ctx, a)
		}
		return err == nil, err
	})
}
