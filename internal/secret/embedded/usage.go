package embedded

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// Usage tells how much the organisation has: with a quota what counts for it, else the secrets alone.
func (s *Store) Usage(ctx context.Context, org id.ID) (secret.Usage, error) {
	if s.quota == (secret.Quota{}) {
		keys, err := s.Keys(ctx, org)
		return secret.Usage{Amount: secret.Amount{Secrets: int64(len(keys)), Bytes: -1}}, err
	}
	u, _, err := s.count(ctx, org)
	return u, err
}

// count counts what counts for the quota, and tells what must still be so for there to be no more.
func (s *Store) count(ctx context.Context, org id.ID) (secret.Usage, []kv.Cond, error) {
	u := secret.Usage{Quota: s.quota}
	at, err := s.settle(ctx, org)
	if err != nil {
		return u, nil, err
	}
	c, err := plan.Count(ctx, s.kv, org, at.Head.Count, s.ring.Names(), min(s.page, content.Page))
	if err != nil {
		return u, nil, err
	}
	beside, still, err := s.besides(ctx, org)
	u.Amount = secret.Amount{Secrets: c.Secrets, Bytes: c.Bytes + beside}
	return u, append(still, kv.Cond{Key: records.Head(org), Rev: at.rev}), err
}

// InTurn has something done in the organisation's turn among its changes: do is given how much there is, and what must
// still be so, where it writes, for no server to have added anything meanwhile.
func (s *Store) InTurn(ctx context.Context, org id.ID,
	do func(ctx context.Context, u secret.Usage, still []kv.Cond) error) error {
	return s.queue.Alone(ctx, org, func(ctx context.Context) error {
		u, still, err := s.count(ctx, org)
		if err == nil {
			err = do(ctx, u, still)
		}
		return err
	})
}

// besides is how many bytes count that are not in the store, and what must still be so for there to be no more.
func (s *Store) besides(ctx context.Context, org id.ID) (int64, []kv.Cond, error) {
	if s.beside == nil || s.quota.Bytes == 0 {
		return 0, nil, nil
	}
	bytes, still, err := s.beside(ctx, org)
	return bytes, []kv.Cond{still}, err
}
