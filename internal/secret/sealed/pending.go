package sealed

import (
	"context"
	"errors"
	"maps"

	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// readPending reads what the organisation's pending change makes of its records; nil where there is none any more. It is
// for a change that is committed and cannot be carried out because the disk is full. Reading goes on over it: what it
// says of a record holds, whether some of its steps have been carried out or none.
func (s *Store) readPending(ctx context.Context, org id.ID) (records, error) {
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
	change := records{}
	for n := range j.Steps {
		st, err := s.readStep(ctx, org, j.Batch, n)
		if err != nil {
			if gone, goneErr := s.journalGone(ctx, rec); gone || goneErr != nil {
				return nil, goneErr
			}
			return nil, err
		}
		maps.Copy(change, st)
	}
	return change, nil
}

// read reads a record's value over a pending change; nil where there is none.
func (s *Store) read(ctx context.Context, over records, key string) ([]byte, error) {
	if value, ok := over[key]; ok {
		return value, nil
	}
	rec, err := s.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err == nil && rec.Value == nil {
		rec.Value = []byte{}
	}
	return rec.Value, err
}
