package embedded

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/plan"
)

// Usage tells how much the organisation has: with a quota what counts for it, else the secrets alone.
func (s *Store) Usage(ctx context.Context, org id.ID) (secret.Usage, error) {
	u := secret.Usage{Amount: secret.Amount{Bytes: -1}, Quota: s.quota}
	if s.quota == (secret.Quota{}) {
		keys, err := s.Keys(ctx, org)
		u.Secrets = int64(len(keys))
		return u, err
	}
	at, err := s.settle(ctx, org)
	if err != nil {
		return u, err
	}
	c, err := plan.Count(ctx, s.kv, org, at.Head.Count, s.ring.Names(), min(s.page, valuesPage))
	if err != nil {
		return u, err
	}
	beside, err := s.besides(ctx, org)
	u.Amount = secret.Amount{Secrets: c.Secrets, Bytes: c.Bytes + beside}
	return u, err
}

// besides is how many bytes count that are not in the store.
func (s *Store) besides(ctx context.Context, org id.ID) (int64, error) {
	if s.beside == nil || s.quota.Bytes == 0 {
		return 0, nil
	}
	return s.beside(ctx, org)
}
