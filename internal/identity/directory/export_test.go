package directory

import (
	"context"
)

// MaxPermissions is how many permissions an authorization may have.
const MaxPermissions = maxPermissions

// FinishDeletions is what Maintain does every minute.
func (s *Service) FinishDeletions(ctx context.Context) error { return s.finishDeletions(ctx) }
