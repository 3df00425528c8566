package directory

import (
	"context"
)

// FinishDeletions is what Maintain does every minute.
func (s *Service) FinishDeletions(ctx context.Context) error { return s.finishDeletions(ctx) }
