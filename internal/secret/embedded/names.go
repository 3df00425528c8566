package embedded

import (
	"context"
	"errors"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Keys lists the names. What it needs most of the time is one read of the head.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	for n := 0; ; n++ {
		names := s.ring.Names()
		keys, err := s.keys(ctx, org)
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

var errTooFast = errs.New(errs.Unavailable, "the organisation's secrets change too fast to be read; try again")

// keysAt gives the names of a state; nil where it has passed.
func (s *Store) keysAt(ctx context.Context, org id.ID, at state) ([]string, error) {
	if at.rev == 0 {
		return []string{}, nil
	}
	if keys, ok := s.lists.Names(org, at.rev); ok {
		return keys, nil
	}
	keys, rev, err := s.list(ctx, org, at.pending != nil)
	switch {
	case err != nil || keys == nil:
		return nil, err
	case at.pending == nil:
		s.lists.Put(org, rev, keys)
	case rev == at.rev:
		return s.over(ctx, org, at.pending, keys)
	}
	if rev != at.rev {
		return nil, nil
	}
	return keys, nil
}

// list reads the names, and the revision of the head they belong to. The names are nil where a change came between, or
// the head is not, as the caller expects it, pending or at rest.
// The first page has the head and the names in one view; further pages are right if the head is the same after the
// last.
func (s *Store) list(ctx context.Context, org id.ID, pending bool) ([]string, int64, error) {
	headKey := records.Head(org)
	recs, err := s.kv.List(ctx, headKey, "", s.page)
	if err != nil {
		return nil, 0, err
	}
	if len(recs) == 0 {
		return []string{}, 0, nil
	}
	head := recs[0]
	if head.Key != headKey { // it has gone meanwhile, and what is still there with it
		return nil, 0, nil
	}
	if h, err := commitlog.ParseHead(head); err != nil || h.Pending != pending {
		return nil, 0, err
	}
	recs = recs[1:]
	keys := make([]string, 0, len(recs))
	pages := 1
	for after := headKey; ; pages++ {
		if keys, err = s.from.Listed(ctx, org, recs, keys); err != nil {
			return nil, 0, err
		}
		if len(keys)+1 < pages*s.page {
			break
		}
		if len(recs) > 0 {
			after = recs[len(recs)-1].Key
		}
		if recs, err = s.kv.List(ctx, headKey, after, s.page); err != nil {
			return nil, 0, err
		}
	}
	if pages > 1 {
		now, err := s.kv.Get(ctx, headKey)
		if errors.Is(err, kv.ErrNotFound) || err == nil && now.Rev != head.Rev {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	// Names in clear are in order; sealed ones are in that of what stands for them.
	if !slices.IsSorted(keys) {
		slices.Sort(keys)
	}
	return slices.Compact(keys), head.Rev, nil
}

// over gives the organisation's names as they are with a change that is pending.
func (s *Store) over(ctx context.Context, org id.ID, change commitlog.Records, names []string) ([]string, error) {
	all := make(map[string]bool, len(names)+len(change))
	for _, name := range names {
		all[name] = true
	}
	// What goes comes first: a name that is moved to another form goes from one place and comes to another.
	var come []kv.Record
	byIndex := map[records.Form]map[string]string{}
	for key, value := range change {
		place, kind, err := records.Parse(key)
		if err != nil {
			return nil, err
		}
		if kind != records.Listed {
			continue
		}
		if value != nil {
			come = append(come, kv.Record{Key: key, Value: value})
			continue
		}
		name := place.Name
		if place.Form.Sealed() {
			if byIndex[place.Form] == nil {
				if byIndex[place.Form], err = s.from.Indexes(org, place.Form, names); err != nil {
					return nil, err
				}
			}
			name = byIndex[place.Form][place.Name]
		}
		delete(all, name)
	}
	more, err := s.from.Listed(ctx, org, come, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range more {
		all[name] = true
	}
	out := make([]string, 0, len(all))
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}
