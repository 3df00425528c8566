package embedded

import (
	"context"

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

// DatedInfos tells what is known of an organisation's secrets with a date.
func (s *Store) DatedInfos(ctx context.Context, org id.ID) ([]secret.Info, error) {
	infos, err := s.dates().Infos(ctx, org)
	return infos, translate(err)
}
