package embedded

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/cache"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// ReadVersion reads the value of one version.
func (s *Store) ReadVersion(ctx context.Context, org id.ID, name string, n int) (secret.Secret, error) {
	return atOneMoment(ctx, s, org, func(ctx context.Context, m moment) (secret.Secret, error) {
		return m.version(ctx, name, n)
	})
}

func (m moment) version(ctx context.Context, name string, n int) (secret.Secret, error) {
	at, known, current, err := m.look(ctx, name, nil)
	if err != nil {
		return secret.Secret{}, err
	}
	none := errs.New(errs.NotFound, "secret %q has no version %d that can be read", errs.Clip(name), n)
	v := known.Version(n)
	if v == nil {
		return secret.Secret{}, none
	}
	record := current
	if v != known.Newest() {
		if record, err = m.find(ctx, m.at.pending, at, records.Version(n)); err != nil {
			return secret.Secret{}, err
		}
	}
	if record.Sealed == nil || !v.Readable() {
		return secret.Secret{}, none
	}
	value, _, err := m.from.OpenValue(ctx, m.org, record)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("version %d of secret %q of organisation %s: %w", n, name, m.org, err)
	}
	return secret.Secret{Value: value, Version: n, Created: content.Time(known.Created),
		Updated: content.Time(v.At)}, nil
}

// look reads what is known of a secret, and the record of its value. It looks for them with find, which is nil where
// there is none yet.
func (m moment) look(ctx context.Context, name string,
	find content.Finder) (content.Places, *content.Meta, content.Found, error) {
	at, err := m.from.Places(m.org, name, m.names)
	if err == nil && m.at.rev == 0 { // what is still there was purged
		err = secret.NotFound(name)
	}
	if err == nil && find == nil {
		find, err = m.findsOf(ctx, name)
	}
	if err != nil {
		return at, nil, content.Found{}, err
	}
	current, err := find(ctx, m.at.pending, at, records.Value)
	if err != nil {
		return at, nil, content.Found{}, err
	}
	record, err := find(ctx, m.at.pending, at, records.Meta)
	if err != nil {
		return at, nil, content.Found{}, err
	}
	if record.Sealed == nil && current.Sealed != nil {
		if err = m.from.Old(ctx, at); err != nil && !errors.Is(err, content.ErrNoMeta) {
			return at, nil, content.Found{}, err
		}
	}
	var known *content.Meta
	if err == nil {
		known, err = m.from.OpenMeta(ctx, m.org, record, current)
	}
	if err != nil {
		return at, nil, content.Found{}, content.DamagedMeta(err, name, m.org)
	}
	if known == nil {
		return at, nil, content.Found{}, secret.NotFound(name)
	}
	return at, known, current, nil
}

// findsOf is how to look for the value and the metadata of one secret.
func (m moment) findsOf(ctx context.Context, name string) (content.Finder, error) {
	return m.reads(ctx, []string{name}, uncounted, records.Value, records.Meta)(0)
}

// Info tells what is known of a secret.
func (s *Store) Info(ctx context.Context, org id.ID, name string) (secret.Info, error) {
	return atOneMoment(ctx, s, org, func(ctx context.Context, m moment) (secret.Info, error) {
		return m.info(ctx, name, nil)
	})
}

func (m moment) info(ctx context.Context, name string, find content.Finder) (secret.Info, error) {
	_, known, _, err := m.look(ctx, name, find)
	if err != nil {
		return secret.Info{}, err
	}
	return known.InfoWithVersions(name), nil
}

// Infos tells what is known of the organisation's secrets that are there. Those whose metadata do not open are
// secret.Unread, and the others given.
func (s *Store) Infos(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	return atOneMoment(ctx, s, org, func(ctx context.Context, m moment) ([]secret.Info, error) {
		names, all, err := m.namesOf(ctx, page)
		if err != nil {
			return nil, err
		}
		return page.Tell(ctx, names, func(ctx context.Context, keys []string) ([]secret.Info, error) {
			return m.infos(ctx, keys, all)
		})
	})
}

// namesOf gives the sorted names that the page is of, and how many secrets there are, where they have been counted. A
// page costs no reading of all names.
func (m moment) namesOf(ctx context.Context, page secret.Page) (names []string, all int, err error) {
	_, ok := m.s.lists.Names(m.org, m.at.rev)
	switch {
	case m.at.rev == 0:
		return nil, 0, nil
	case page.Limit == 0 || !page.Before.IsZero() || m.memory || m.at.pending != nil || ok:
		names, err = m.listed(ctx)
		return names, len(names), err
	case m.names == keyring.Names{}:
		names, err = m.from.ClearNames(ctx, m.org, page, m.s.page)
		return names, uncounted, err
	}
	names, err = m.s.followed.Names(cache.Alive, m.org, m.at.rev, func() ([]string, error) {
		names, err := m.listed(ctx)
		if err == nil && names == nil { // a change came between
			err = errTooFast
		}
		return names, err
	}, func(name string) (bool, error) {
		at, err := m.from.Places(m.org, name, m.names)
		if err != nil {
			return false, err
		}
		listed, err := m.find(ctx, nil, at, records.Listed)
		return listed.Sealed != nil, err
	})
	return names, len(names), err
}

func (m moment) infos(ctx context.Context, keys []string, all int) ([]secret.Info, error) {
	ahead := m.reads(ctx, keys, all, records.Meta)
	infos := make([]secret.Info, 0, len(keys))
	var unread *secret.Unread
	for i, key := range keys {
		find, err := ahead(i)
		if err != nil {
			return nil, err
		}
		at, err := m.from.Places(m.org, key, m.names)
		if err != nil {
			return nil, err
		}
		record, err := find(ctx, m.at.pending, at, records.Meta)
		if err != nil {
			return nil, err
		}
		var info secret.Info
		if record.Sealed == nil { // set by an older influxd: its value tells
			info, err = m.info(ctx, key, nil)
			info.Versions = nil
		} else {
			info, err = m.from.InfoIn(ctx, m.org, key, record)
		}
		switch {
		case content.Damaged(err):
			unread = unread.Add(key, err)
		case err != nil:
			return nil, err
		default:
			infos = append(infos, info)
		}
	}
	return infos, unread.Or(nil)
}

// Deleted lists the secrets that can be brought back.
func (s *Store) Deleted(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	// Memory has no lists of records.
	return fromEngine(ctx, s, org, func(ctx context.Context, m moment) ([]secret.Info, error) {
		names, err := m.trashed(ctx)
		if err != nil {
			return nil, err
		}
		return page.Tell(ctx, names, m.deleted)
	})
}

func (m moment) deleted(ctx context.Context, names []string) ([]secret.Info, error) {
	ahead := m.reads(ctx, names, uncounted, records.Value, records.Meta)
	var infos []secret.Info
	for i, name := range names {
		find, err := ahead(i)
		if err != nil {
			return nil, err
		}
		info, err := m.info(ctx, name, find)
		if errs.Is(err, errs.NotFound) || err == nil && info.Deleted.IsZero() { // brought back by what is pending
			continue
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// trashed lists the names of the deleted secrets.
func (m moment) trashed(ctx context.Context) ([]string, error) {
	read := func() ([]string, error) { return m.from.Trashed(ctx, m.org, m.s.page) }
	switch {
	case m.at.rev == 0: // what is still there was purged
		return nil, nil
	case m.at.pending != nil:
		return read()
	}
	return m.s.followed.Names(cache.Deleted, m.org, m.at.rev, read, func(name string) (bool, error) {
		_, known, _, err := m.look(ctx, name, nil)
		if errs.Is(err, errs.NotFound) {
			return false, nil
		}
		return err != nil || known.Deleted != nil, ctx.Err() // what does not open is told of by the page that has it
	})
}
