package embedded

import (
	"context"
	"errors"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/dated"
)

var _ secret.Dated = (*Store)(nil)

func (s *Store) dates() dated.Index {
	return dated.Index{From: s.from, Names: s.ring.Names, Now: s.now,
		Settle: func(ctx context.Context, org id.ID) (int64, error) {
			at, err := s.settle(ctx, org)
			return at.rev, err
		}}
}

// DatedOrgs gives the organisations that may have secrets with a date.
func (s *Store) DatedOrgs(ctx context.Context) ([]id.ID, error) {
	orgs, err := s.dates().Orgs(ctx)
	return orgs, translate(err)
}

// DatedInfos tells what is known of an organisation's secrets with a date, all as they were at one moment: a secret
// whose name goes from one form to another meanwhile is there once. Where none has a date, it is not asked again.
func (s *Store) DatedInfos(ctx context.Context, org id.ID) ([]secret.Info, error) {
	for range attempts {
		fence := s.ring.Fence()
		// Memory has no lists of records.
		got, err := fromEngine(ctx, s, org, func(ctx context.Context, m moment) (dated.Found, error) {
			if m.at.rev == 0 { // what is still there was purged
				return dated.Found{}, nil
			}
			return s.dates().Infos(ctx, org, m.at.rev, m.names, m.at.pending)
		})
		// Who has not heard that the names go to another form looks where they are not.
		again, refused := s.ring.Refused(ctx, fence)
		switch {
		case refused != nil:
			return nil, translate(refused)
		case again:
			continue
		case s.gone != nil && errors.Is(err, s.gone):
			return nil, nil
		case err != nil || got.Any: // Unread has the others with it
			return got.Infos, err
		}
		return nil, translate(s.dates().Drop(ctx, org, got.Head, fence))
	}
	return nil, errTooFast
}
