package embedded

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

var _ secret.Watched = (*Store)(nil)

// Watch tells of changes of the organisation's secrets: each of them writes the head.
func (s *Store) Watch(ctx context.Context, org id.ID, tell func()) error {
	begun := false
	return s.kv.Watch(ctx, records.Head(org), 0, func(u kv.Update) {
		if len(u.Events) > 0 || !begun {
			begun = true
			tell()
		}
	})
}
