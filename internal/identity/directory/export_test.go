package directory

import (
	"context"
	"time"
)

// SetPatience says how long who deletes something waits for the rest.
func (s *Service) SetPatience(d time.Duration) { s.patience = d }

// FinishDeletions is what Maintain does every minute.
func (s *Service) FinishDeletions(ctx context.Context) error { return s.finishDeletions(ctx) }
