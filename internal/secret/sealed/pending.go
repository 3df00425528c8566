package sealed

import (
	"context"
	"errors"
	"maps"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// pending is a large change that is committed and cannot be carried out because the disk is full: names with their
// records, nil for a deletion. Reading goes on over it: what the records say holds wherever it names something, whether
// some of its steps have been carried out or none.
type pending map[string][]byte

// readPending reads the organisation's pending change; nil where there is none any more.
func (s *Store) readPending(ctx context.Context, org id.ID) (pending, error) {
	rec, err := s.kv.Get(ctx, journalKey(org))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	j, err := s.readJournal(ctx, org, rec)
	if err != nil {
		return nil, err
	}
	change := pending{}
	for n := range j.Steps {
		st, err := s.readStep(ctx, org, j.Batch, n)
		if err != nil {
			if gone, goneErr := s.journalGone(ctx, rec); gone || goneErr != nil {
				return nil, goneErr
			}
			return nil, err
		}
		for _, c := range st.changes {
			change[c.name] = c.record
		}
	}
	return change, nil
}

// over gives the names as they are with the change.
func (p pending) over(names []string) []string {
	all := make(map[string]bool, len(names)+len(p))
	for _, name := range names {
		all[name] = true
	}
	for name, record := range p {
		if record != nil {
			all[name] = true
		} else {
			delete(all, name)
		}
	}
	return slices.AppendSeq(make([]string, 0, len(all)), slices.Values(slices.Sorted(maps.Keys(all))))
}
