package embedded

import (
	"context"
	"errors"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/dated"
	"strongroom/internal/secret/embedded/records"
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

// dating is what was found of an organisation's dates at one moment.
type dating struct {
	infos []secret.Info
	found bool
	rev   int64 // of the head; 0 where there is none
}

// DatedInfos tells what is known of an organisation's secrets with a date, all as they were at one moment: a secret
// whose name goes from one form to another meanwhile is there once. Where none has a date, it is not asked again.
func (s *Store) DatedInfos(ctx context.Context, org id.ID) ([]secret.Info, error) {
	for range attempts {
		fence := s.ring.Fence()
		got, err := atOneMoment(ctx, s, org, func(ctx context.Context, m moment) (d dating, err error) {
			if d.rev = m.at.rev; d.rev == 0 { // what is still there was purged
				return d, nil
			}
			if m.memory {
				return d, errForgotten
			}
			d.infos, d.found, err = s.dates().Infos(ctx, org, m.names, m.at.pending)
			return d, err
		})
		// Who has not heard that the names go to another form looks where they are not.
		switch again, err := s.ring.Refused(ctx, fence); {
		case err != nil:
			return nil, translate(err)
		case again:
			continue
		}
		if s.gone != nil && errors.Is(err, s.gone) {
			return nil, nil
		}
		if err != nil || got.found {
			return got.infos, err
		}
		was := slices.Concat([]kv.Cond{{Key: records.Head(org), Rev: got.rev}}, fence)
		return nil, translate(s.dates().Drop(ctx, org, was))
	}
	return nil, errTooFast
}
