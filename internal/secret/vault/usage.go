package vault

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Usage tells how many secrets the organisation has. How large they are, it does not count.
func (s *Store) Usage(ctx context.Context, org id.ID) (secret.Usage, error) {
	keys, err := s.Keys(ctx, org)
	return secret.Usage{Amount: secret.Amount{Secrets: int64(len(keys)), Bytes: -1}, Quota: s.quota}, err
}
