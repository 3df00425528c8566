package directory

import (
	"context"

	"strongroom/internal/id"
)

// MaxPermissions is how many permissions an authorization may have.
const MaxPermissions = maxPermissions

// FinishDeletions is what Maintain does every minute.
func (s *Service) FinishDeletions(ctx context.Context) error { return s.finishDeletions(ctx) }

// Reaches reports whether the ID is on the page's side of the one that it begins after.
func (p Page) Reaches(i id.ID) bool { return p.reaches(i) }
