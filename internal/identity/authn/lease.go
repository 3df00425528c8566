package authn

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// parentsEnd is when a token ends that hangs on others: with the first of them, which it names. It is until where none
// ends before, and ErrUnauthorized where one of them is no good any more.
func (s *Service) parentsEnd(ctx context.Context, a identity.Authorization,
	until time.Time) (time.Time, []id.ID, error) {
	var parents []id.ID
	for a.Lease != nil && a.Lease.Parent.Valid() {
		parents = append(parents, a.Lease.Parent)
		parent, _, err := record.Proof[identity.Authorization](ctx, s.kv, record.Key("auth", a.Lease.Parent),
			ErrUnauthorized)
		if err != nil {
			return until, nil, err
		}
		if parent.Status != identity.Active {
			return until, nil, errInactive
		}
		if at := parent.ExpiresAt; at != nil && (until.IsZero() || at.Before(until)) {
			until = *at
		}
		a = parent
	}
	if a.Lease != nil && a.Lease.Role != "" {
		_, _, err := record.Proof[identity.AppRole](ctx, s.kv, record.Key("approle", a.Lease.Role), ErrUnauthorized)
		return until, parents, err
	}
	return until, parents, nil
}

// sweepLeases removes tokens that were made for a time and have ended, and those whose parent is gone.
func (s *Service) sweepLeases(ctx context.Context) error {
	now := s.now()
	return record.ScanWhole(ctx, s.kv, "authlease/", func(r kv.Record) (bool, error) {
		a, home, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", record.Last(r.Key)),
			ErrUnauthorized)
		if errs.Is(err, errs.Unauthorized) {
			_, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{kv.Delete(r.Key)})
			if errors.Is(err, kv.ErrConflict) {
				err = nil // another server does the same
			}
			return err == nil, err
		}
		if err != nil {
			return false, err
		}
		over := a.ExpiresAt != nil && !now.Before(*a.ExpiresAt)
		if !over {
			if over, err = s.orphaned(ctx, a.Lease); err != nil {
				return false, err
			}
		}
		if over {
			// One that was renewed meanwhile has changed, and stays.
			_, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(home)}, a.Deletion())
			if errors.Is(err, kv.ErrConflict) {
				return true, nil
			}
			if err != nil {
				return false, err
			}
			s.cache.drop(a.TokenHash())
		}
		return true, nil
	})
}

// orphaned reports whether what a lease hangs on is gone.
func (s *Service) orphaned(ctx context.Context, l *identity.Lease) (bool, error) {
	var key string
	switch {
	case l != nil && l.Parent.Valid():
		key = record.Key("auth", l.Parent)
	case l != nil && l.Role != "":
		key = record.Key("approle", l.Role)
	default:
		return false, nil
	}
	_, err := s.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return true, nil
	}
	return false, kv.Coded(err)
}

// sweepLogins removes secret IDs, what is wrapped, and what is kept of tokens that were revoked, once it has ended.
// What is forged in one folder keeps no other from its upkeep.
func (s *Service) sweepLogins(ctx context.Context) error {
	now := s.now()
	var forged error
	for _, folder := range []string{"secretid/", "wrapped/", "authgone/"} {
		err := record.ScanWhole(ctx, s.kv, folder, func(r kv.Record) (bool, error) {
			kept, err := record.Decode[struct{ ExpiresAt time.Time }](r)
			if err != nil || kept.ExpiresAt.IsZero() || now.Before(kept.ExpiresAt) {
				return err == nil, err
			}
			_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{kv.Delete(r.Key)})
			if errors.Is(err, kv.ErrConflict) {
				err = nil // it is used right now
			}
			return err == nil, err
		})
		if err != nil && !errors.Is(err, kv.ErrForged) {
			return errors.Join(forged, err)
		}
		forged = errors.Join(forged, err)
	}
	return forged
}
