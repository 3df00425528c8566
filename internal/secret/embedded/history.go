package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

var _ secret.Historian = (*Store)(nil)

// Info tells what is known of a secret.
func (s *Store) Info(ctx context.Context, org id.ID, name string) (secret.Info, error) {
	info, err := current(s, func(names keyring.Names) (secret.Info, error) {
		at, err := s.settle(ctx, org)
		if err != nil {
			return secret.Info{}, err
		}
		return s.infoOver(ctx, org, name, names, at.pending)
	})
	return info, translate(err)
}

func (s *Store) infoOver(ctx context.Context, org id.ID, name string, names keyring.Names, over commitlog.Records) (secret.Info, error) {
	at, err := s.places(org, name, names)
	if err != nil {
		return secret.Info{}, err
	}
	current, err := s.find(ctx, over, at, records.Value)
	if err != nil {
		return secret.Info{}, err
	}
	record, err := s.find(ctx, over, at, records.Meta)
	if err != nil {
		return secret.Info{}, err
	}
	m, err := s.metaOf(ctx, org, record, current)
	if err != nil {
		return secret.Info{}, fmt.Errorf("the metadata of secret %q of organisation %s: %w", name, org, err)
	}
	if m == nil {
		return secret.Info{}, secret.NotFound(name)
	}
	newest := m.newest()
	info := secret.Info{
		Key: name, Version: newest.N, Created: fromMs(m.Created), Updated: fromMs(newest.At), By: newest.By,
		Description: secret.Description{Text: m.Description, Expires: fromMs(m.Expires)},
	}
	if m.Deleted != nil {
		info.Deleted, info.DeletedBy = fromMs(m.Deleted.At), m.Deleted.By
	}
	for _, v := range m.Versions {
		info.Versions = append(info.Versions, secret.Version{Number: v.N, At: fromMs(v.At), By: v.By, Restorable: !v.Lost})
	}
	return info, nil
}

// Deleted lists the secrets that can be brought back.
func (s *Store) Deleted(ctx context.Context, org id.ID) ([]secret.Info, error) {
	names, err := current(s, func(keyring.Names) ([]string, error) { return s.trashed(ctx, org) })
	if err != nil {
		return nil, translate(err)
	}
	var infos []secret.Info
	for _, name := range names {
		info, err := s.Info(ctx, org, name)
		if errs.Is(err, errs.NotFound) || err == nil && info.Deleted.IsZero() { // brought back, or gone, since
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// trashed lists the names of the deleted secrets. Between its pages names may go to another form, and to another place
// in the list with it: then it begins anew.
func (s *Store) trashed(ctx context.Context, org id.ID) ([]string, error) {
	for range attempts {
		at, err := s.settle(ctx, org)
		if err != nil {
			return nil, err
		}
		var names []string
		pages := 0
		for after := ""; ; pages++ {
			recs, err := s.kv.List(ctx, records.TrashPrefix(org), after, s.page)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				place, kind, err := records.Parse(rec.Key)
				if err != nil {
					continue // influxd check tells of it
				}
				name, err := s.nameOf(ctx, place, kind, rec.Value)
				if err != nil {
					return nil, fmt.Errorf("the name in record %q: %w", rec.Key, err)
				}
				names, after = append(names, name), rec.Key
			}
			if len(recs) < s.page {
				break
			}
		}
		if pages > 0 {
			now, err := s.settle(ctx, org)
			if err != nil {
				return nil, err
			}
			if now.rev != at.rev {
				continue
			}
		}
		slices.Sort(names)
		return slices.Compact(names), nil
	}
	return nil, errs.New(errs.Unavailable, "the organisation's secrets change too fast to be listed; try again")
}

// Describe replaces a secret's description.
func (s *Store) Describe(ctx context.Context, org id.ID, name string, d secret.Description) error {
	return s.submit(ctx, org, change{plan: func(p *plan) error {
		at, err := p.at(name)
		if err != nil {
			return err
		}
		m, current, err := p.look(at)
		if err != nil {
			return err
		}
		if m == nil || current.sealed == nil {
			return secret.NotFound(name)
		}
		m.Description, m.Expires = d.Text, 0
		if !d.Expires.IsZero() {
			m.Expires = d.Expires.UnixMilli()
		}
		return p.putMeta(at, m)
	}})
}

// Restore sets the value of an earlier version as a new one.
func (s *Store) Restore(ctx context.Context, org id.ID, name string, n int, by string) error {
	at := s.now()
	return s.submit(ctx, org, change{plan: func(p *plan) error { return p.restore(name, n, by, at) }})
}

// Maintain removes for good what was deleted secret.KeepDeleted ago: at once, and then every hour until ctx ends.
// Report hears of what went wrong; it is tried again.
func (s *Store) Maintain(ctx context.Context, report func(error)) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep removes for good what was deleted secret.KeepDeleted ago. What cannot be told of keeps no other waiting.
func (s *Store) Sweep(ctx context.Context) error {
	before := s.now().Add(-secret.KeepDeleted).UnixMilli()
	var wrong error
	for after := ""; ; {
		recs, err := s.kv.List(ctx, records.TrashRoot, after, 1)
		if err != nil || len(recs) == 0 {
			return errors.Join(wrong, translate(err))
		}
		after = recs[0].Key
		place, kind, err := records.Parse(recs[0].Key)
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		if at, _ := kind.Deleted(); at > before {
			after = records.TrashPrefix(place.Org) + behindAll // what follows of the organisation is younger
			continue
		}
		name, err := s.nameOf(ctx, place, kind, recs[0].Value)
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("the name in record %q: %w", recs[0].Key, err))
			continue
		}
		if err := s.expire(ctx, place.Org, recs[0], kind, name); err != nil {
			return errors.Join(wrong, err)
		}
	}
}

// expire ends one deleted secret, unless it has been brought back or deleted anew.
func (s *Store) expire(ctx context.Context, org id.ID, rec kv.Record, kind records.Kind, name string) error {
	return s.submit(ctx, org, change{plan: func(p *plan) error {
		at, err := p.at(name)
		if err != nil {
			return err
		}
		m, current, err := p.look(at)
		if err != nil {
			return err
		}
		p.write(rec.Key, nil)
		if m != nil && current.sealed == nil && m.Deleted != nil && records.Trash(m.Deleted.At) == kind {
			p.forget(at, m)
		}
		return nil
	}})
}
