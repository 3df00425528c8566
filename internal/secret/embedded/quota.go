package embedded

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// counted is how much the organisation has: what its head says, or, where there was no quota when that was put, or the
// names have gone to another form since, what is counted now. It is nil where there is no quota.
func (s *Store) counted(ctx context.Context, org id.ID, said *commitlog.Count,
	names keyring.Names) (*commitlog.Count, error) {
	if s.quota == (secret.Quota{}) {
		return nil, nil
	}
	if said != nil && said.Form == names.Form && !names.Moving {
		c := *said
		return &c, nil
	}
	c := &commitlog.Count{Form: names.Form}
	for _, prefix := range []string{records.Prefix(org), records.TrashPrefix(org)} {
		for after := ""; ; {
			recs, err := s.kv.List(ctx, prefix, after, s.page)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				plan.Tally(c, org, rec.Key, len(rec.Value), 1)
				after = rec.Key
			}
			if len(recs) < s.page {
				break
			}
		}
	}
	return c, nil
}
