package sealed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

var _ secret.Historian = (*Store)(nil)

// Info tells what is known of a secret.
func (s *Store) Info(ctx context.Context, org id.ID, name string) (secret.Info, error) {
	at, err := s.settle(ctx, org)
	if err != nil {
		return secret.Info{}, translate(err)
	}
	info, err := s.infoOver(ctx, org, name, at.pending)
	return info, translate(err)
}

func (s *Store) infoOver(ctx context.Context, org id.ID, name string, over records) (secret.Info, error) {
	current, err := s.read(ctx, over, secretKey(org, name))
	if err != nil {
		return secret.Info{}, err
	}
	record, err := s.read(ctx, over, metaKey(org, name))
	if err != nil {
		return secret.Info{}, err
	}
	m, err := s.metaOf(ctx, org, name, record, current)
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
	at, err := s.settle(ctx, org)
	if err != nil {
		return nil, translate(err)
	}
	var infos []secret.Info
	// In the order of the names: their metadata are, the deletions are in the order of time.
	named := map[string]bool{}
	for after := ""; ; {
		recs, err := s.kv.List(ctx, trashPrefix(org), after, s.page)
		if err != nil {
			return nil, translate(err)
		}
		if len(recs) == 0 {
			break
		}
		for _, rec := range recs {
			after = rec.Key
			if _, name, err := splitTrash(org, rec.Key); err == nil {
				named[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		info, err := s.infoOver(ctx, org, name, at.pending)
		if errs.Is(err, errs.NotFound) || err == nil && info.Deleted.IsZero() { // brought back, or gone, since
			continue
		}
		if err != nil {
			return nil, translate(err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// splitTrash takes the key of a deleted secret apart.
func splitTrash(org id.ID, key string) (at int64, name string, err error) {
	text, name, _ := strings.Cut(strings.TrimPrefix(key, trashPrefix(org)), "/")
	if at, err = strconv.ParseInt(text, 10, 64); err != nil || name == "" {
		return 0, "", fmt.Errorf("the record %q has not the form of a deleted secret's", key)
	}
	return at, name, nil
}

// Describe replaces a secret's description.
func (s *Store) Describe(ctx context.Context, org id.ID, name string, d secret.Description) error {
	return s.submit(ctx, org, change{plan: func(p *plan) error {
		m, current, err := p.look(name)
		if err != nil {
			return err
		}
		if m == nil || current == nil {
			return secret.NotFound(name)
		}
		m.Description, m.Expires = d.Text, 0
		if !d.Expires.IsZero() {
			m.Expires = d.Expires.UnixMilli()
		}
		return p.putMeta(name, m)
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

// Sweep removes for good what was deleted secret.KeepDeleted ago.
func (s *Store) Sweep(ctx context.Context) error {
	before := s.now().Add(-secret.KeepDeleted).UnixMilli()
	for after := ""; ; {
		recs, err := s.kv.List(ctx, trashRoot, after, 1)
		if err != nil || len(recs) == 0 {
			return translate(err)
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(recs[0].Key, trashRoot), "/")
		org, err := id.Parse(text)
		if err != nil {
			return fmt.Errorf("the record %q is of no organisation: %w", recs[0].Key, err)
		}
		at, name, err := splitTrash(org, recs[0].Key)
		if err != nil {
			return err
		}
		if after = recs[0].Key; at > before {
			after = trashPrefix(org) + "\xff" // what follows of the organisation is younger
			continue
		}
		if err := s.expire(ctx, org, recs[0], at, name); err != nil {
			return err
		}
	}
}

// expire ends one deleted secret, unless it has been brought back or deleted anew.
func (s *Store) expire(ctx context.Context, org id.ID, rec kv.Record, at int64, name string) error {
	return s.submit(ctx, org, change{plan: func(p *plan) error {
		m, current, err := p.look(name)
		if err != nil {
			return err
		}
		p.records[rec.Key] = nil
		if m != nil && current == nil && m.Deleted != nil && m.Deleted.At == at {
			p.forget(name, m)
		}
		return nil
	}})
}
