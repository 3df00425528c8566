package embedded

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/embedded/records"
)

// Keys lists the names. What it needs most of the time is one read of the head.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	for n := 0; ; n++ {
		names := s.ring.Names()
		keys, err := s.keys(ctx, org)
		if err == nil {
			return keys, nil
		}
		if !again(err, n, names == s.ring.Names()) {
			return keys, translate(err)
		}
	}
}

func (s *Store) keys(ctx context.Context, org id.ID) ([]string, error) {
	keys, ok := fromMemory(ctx, s, org, func(ctx context.Context, m moment) ([]string, error) { return m.listed(ctx) })
	if ok {
		return keys, nil
	}
	for range attempts {
		at, err := s.start(ctx, org)
		if err != nil {
			return nil, err
		}
		if keys, err := s.keysAt(ctx, org, at); keys != nil || err != nil {
			return keys, err
		}
	}
	return nil, errTooFast
}

var errTooFast = errs.New(errs.Unavailable, "the organization's secrets change too fast to be read; try again")

// keysAt gives the names of a state; nil where it has passed.
func (s *Store) keysAt(ctx context.Context, org id.ID, at state) ([]string, error) {
	if at.rev == 0 {
		return []string{}, nil
	}
	if keys, ok := s.lists.Names(org, at.rev); ok {
		return keys, nil
	}
	keys, rev, err := s.from.Names(ctx, org, at.pending != nil, s.page)
	switch {
	case err != nil || keys == nil:
		return nil, err
	case at.pending == nil:
		s.lists.Put(org, rev, keys)
	case rev == at.rev:
		return s.from.Over(ctx, org, at.pending, keys)
	}
	if rev != at.rev {
		return nil, nil
	}
	return keys, nil
}

// Order is by the indexes of the names, where those are sealed.
func (s *Store) Order(org id.ID) func(string) (string, error) { return records.Order(s.ring, org) }
