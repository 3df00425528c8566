package persecret

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/queue"
)

// maxAuthors is of how many versions, the latest, Info reads who set them: that stands beside the value.
const maxAuthors = 20

// Info tells what is known of a secret. How many versions there are is what Vault keeps (max_versions
// of the mount or entry).
func (s *Store) Info(ctx context.Context, org id.ID, key string) (secret.Info, error) {
	at, c, err := s.atRest(ctx, org)
	if err != nil {
		return secret.Info{}, err
	}
	if key == "" || c.Purging() {
		return secret.Info{}, secret.NotFound(key)
	}
	info, err := s.info(ctx, at, c, key)
	if err != nil {
		return info, err
	}
	newest := info.Versions[max(0, len(info.Versions)-maxAuthors):]
	err = conn.Each(ctx, len(newest), func(ctx context.Context, i int) error {
		if !newest[i].Restorable {
			return nil
		}
		e, err := at.Below(paths.Path(key)).ReadVersion(ctx, int64(newest[i].Number))
		newest[i].By = paths.Author(e)
		if _, ours, _ := paths.Value(e); err == nil && e.Data != nil && !ours {
			newest[i].Restorable = false // somebody else's
			if newest[i].Number == info.Version && info.Deleted.IsZero() {
				return secret.NotFound(key)
			}
		}
		return err
	})
	if n := len(newest); n > 0 && newest[n-1].Number == info.Version {
		info.By = newest[n-1].By
	}
	return info, err
}

// atRest gives where the organisation's entries are, and its state when no reader need know of what is pending.
func (s *Store) atRest(ctx context.Context, org id.ID) (kv2.Location, *intent.State, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return at, nil, err
	}
	c, err := s.log.AtRest(ctx, org, at)
	return at, c, err
}

// info is what an entry's metadata tell.
func (s *Store) info(ctx context.Context, at kv2.Location, c *intent.State, key string) (secret.Info, error) {
	m, found, err := at.Below(paths.Path(key)).Metadata(ctx)
	if err != nil {
		return secret.Info{}, err
	}
	if !found || m.Current == 0 {
		return secret.Info{}, secret.NotFound(key)
	}
	current, _ := m.Version(m.Current)
	info := secret.Info{Key: key, Version: int(m.Current), Created: m.Created.UTC(), Updated: current.Created.UTC(),
		Description: paths.Described(m.Custom)}
	if !m.Alive() {
		info.Deleted = cmp.Or(current.DeletedAt(), current.Created).UTC()
		if d, ok := c.Deletion(paths.Path(key)); ok && d.Version == m.Current {
			info.Deleted, info.DeletedBy = time.Unix(d.At, 0).UTC(), d.By
		}
	}
	for n, v := range m.Versions {
		number, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		// The version that was deleted comes back by being undeleted.
		restorable := m.Readable(v) || !v.Destroyed && int64(number) == m.Current
		info.Versions = append(info.Versions, secret.Version{Number: number, At: v.Created.UTC(),
			Restorable: restorable, Destroyed: v.Destroyed})
		if last := &info.Versions[len(info.Versions)-1]; !m.Readable(v) && !v.Destroyed && int64(number) != m.Current {
			last.Deleted = v.DeletedAt().UTC()
		}
	}
	slices.SortFunc(info.Versions, func(a, b secret.Version) int { return cmp.Compare(a.Number, b.Number) })
	return info, nil
}

// Infos tells what is known of the organisation's secrets, by one read of each entry: the answer has the custom
// metadata, too, and who set the value. A page needs the list of all names, which is what Vault gives.
func (s *Store) Infos(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	at, _, err := s.atRest(ctx, org)
	if err != nil {
		return nil, err
	}
	listed, err := s.lists.Get(ctx, org)
	if err != nil {
		return nil, err
	}
	return page.Tell(ctx, listed.keys, func(ctx context.Context, keys []string) ([]secret.Info, error) {
		return s.infos(ctx, at, keys)
	})
}

func (s *Store) infos(ctx context.Context, at kv2.Location, keys []string) ([]secret.Info, error) {
	infos := make([]secret.Info, len(keys))
	err := conn.Each(ctx, len(keys), func(ctx context.Context, i int) error {
		e, err := at.Below(paths.Path(keys[i])).Look(ctx)
		if err != nil {
			return err
		}
		if _, ours, err := paths.Value(e); err != nil || !ours { // or deleted meanwhile
			return err
		}
		infos[i] = secret.Info{Key: keys[i], Version: int(e.Version), Updated: e.Written(), By: paths.Author(e),
			Description: paths.Described(e.Custom)}
		return nil
	})
	if err != nil {
		return nil, conn.Known(ctx, err)
	}
	return slices.DeleteFunc(infos, func(i secret.Info) bool { return i.Key == "" }), nil
}

// Deleted lists the secrets that can be brought back.
func (s *Store) Deleted(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	at, c, err := s.atRest(ctx, org)
	if err != nil || c.Purging() {
		return nil, err
	}
	var names []string
	for _, d := range c.Deleted() {
		if name, ok := paths.NameAt(d.Path); ok && time.Since(time.Unix(d.At, 0)) < secret.KeepDeleted {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return page.Tell(ctx, names, func(ctx context.Context, names []string) ([]secret.Info, error) {
		return s.trashed(ctx, at, c, names)
	})
}

func (s *Store) trashed(ctx context.Context, at kv2.Location, c *intent.State, names []string) ([]secret.Info, error) {
	infos := make([]secret.Info, len(names))
	err := conn.Each(ctx, len(names), func(ctx context.Context, i int) error {
		info, err := s.info(ctx, at, c, names[i])
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		if n := len(info.Versions); err == nil && !info.Deleted.IsZero() && n > 0 && info.Versions[n-1].Restorable {
			infos[i] = info
		}
		return err
	})
	return slices.DeleteFunc(infos, func(i secret.Info) bool { return i.Key == "" }), err
}

// Describe replaces a secret's description, which is among the entry's custom metadata.
func (s *Store) Describe(ctx context.Context, org id.ID, key string, d secret.Description) error {
	return s.queue.Alone(ctx, org, func(ctx context.Context) error {
		at, err := paths.At(ctx, s.places, org)
		if err != nil {
			return err
		}
		if _, err := s.log.Settled(ctx, org, at); err != nil {
			return err
		}
		if key == "" {
			return secret.NotFound(key)
		}
		entry := at.Below(paths.Path(key))
		m, found, err := entry.Metadata(ctx)
		if err != nil {
			return err
		}
		if !found || !m.Alive() {
			return secret.NotFound(key)
		}
		custom := paths.Describe(m.Custom, d)
		if len(custom) > paths.MaxCustom {
			return errs.New(errs.Invalid, "the entry of secret %q has so much custom metadata that no description "+
				"goes beside it (the secret store takes %d)", key, paths.MaxCustom)
		}
		return once(ctx, entry, func(ctx context.Context) error { return entry.Describe(ctx, custom) },
			func(m kv2.Metadata) bool { return maps.Equal(m.Custom, custom) })
	})
}

// once does to an entry what has no check-and-set. Where the answer is lost it is not done again, since by then others
// may have done otherwise: either it is seen to be so, or its caller hears that it is not known.
func once(ctx context.Context, entry kv2.Location, do func(context.Context) error, is func(kv2.Metadata) bool) error {
	watched, lost := conn.Watched(conn.Once(ctx))
	err := do(watched)
	if err == nil || !lost() {
		return err
	}
	if m, found, looked := entry.Metadata(ctx); looked == nil && found && is(m) {
		return nil
	}
	return conn.Unsure(err)
}

// Restore sets the value of an earlier version as a new one; that of a version that was deleted, once it is undeleted.
func (s *Store) Restore(ctx context.Context, org id.ID, key string, version int, by string) (secret.Outcome, error) {
	var now int64
	err := s.inTurn(ctx, org, key, func(ctx context.Context, at kv2.Location) (err error) {
		now, err = s.restore(ctx, org, at, key, int64(version), by)
		return err
	})
	if err != nil {
		return secret.Outcome{}, err
	}
	return secret.Outcome{Versions: map[string]int{key: int(now)}}, nil
}

// inTurn does something to a secret in the organisation's queue, and again where somebody else was faster.
func (s *Store) inTurn(ctx context.Context, org id.ID, key string,
	do func(ctx context.Context, at kv2.Location) error) error {
	return s.queue.Alone(ctx, org, func(ctx context.Context) error {
		at, err := paths.At(ctx, s.places, org)
		if err != nil {
			return err
		}
		if key == "" {
			return secret.NotFound(key)
		}
		for try := 1; ; try++ {
			err := do(ctx, at)
			switch {
			case err != conn.ErrMismatch:
				return err
			case try >= maxTries:
				return errConflict
			case !queue.Pause(ctx, try):
				return conn.Slow.Told()
			}
		}
	})
}

func (s *Store) restore(ctx context.Context, org id.ID, at kv2.Location, key string, version int64,
	by string) (int64, error) {
	c, err := s.log.Settled(ctx, org, at)
	if err != nil {
		return 0, err
	}
	path := paths.Path(key)
	m, found, err := at.Below(path).Metadata(ctx)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, secret.NotFound(key)
	}
	if version == 0 {
		version = m.Current
	}
	if version == m.Current && m.Alive() {
		return version, nil
	}
	v, kept := m.Version(version)
	st := intent.Step{Op: intent.Undelete, Path: path, Base: m.Current, By: by}
	if version != m.Current {
		e, err := at.Below(path).ReadVersion(ctx, version)
		if err != nil {
			return 0, err
		}
		value, ours, err := paths.Value(e)
		if err != nil {
			return 0, err
		}
		kept = kept && ours
		st = intent.Step{Op: intent.Set, Path: path, Base: m.Current, Value: value, By: by}
	}
	if !kept || v.Destroyed {
		return 0, errs.New(errs.NotFound, "secret %q has no version %d that could be restored", key, version)
	}
	return m.Current + 1, s.log.Change(ctx, org, at, c, []intent.Step{st})
}

// ReadVersion reads one version's value.
func (s *Store) ReadVersion(ctx context.Context, org id.ID, key string, version int) (secret.Secret, error) {
	none := errs.New(errs.NotFound, "secret %q has no version %d that can be read", errs.Clip(key), version)
	at, c, err := s.atRest(ctx, org)
	if err != nil {
		return secret.Secret{}, err
	}
	if key == "" || version < 1 || c.Purging() {
		return secret.Secret{}, none
	}
	e, err := at.Below(paths.Path(key)).ReadVersion(ctx, int64(version))
	if err != nil {
		return secret.Secret{}, err
	}
	v, ours, err := paths.Value(e)
	if err != nil {
		return secret.Secret{}, err
	}
	if !ours {
		return secret.Secret{}, none
	}
	return secret.Secret{Value: secret.NewValue([]byte(v)), Version: version, Updated: e.Written()}, nil
}

// Mark deletes, brings back or destroys versions. The present one is deleted by way of the journal, as every deletion,
// and comes back as a new version. All are looked at before the first one is destroyed.
func (s *Store) Mark(ctx context.Context, org id.ID, key string, m secret.Marking) (secret.Outcome, error) {
	m = m.Clone()
	var out secret.Outcome
	done := 0 // in any try
	err := s.inTurn(ctx, org, key, func(ctx context.Context, at kv2.Location) error {
		if m.Mark == secret.DestroyVersion {
			if err := s.mayDestroy(ctx, org, at, key, m.Versions); err != nil {
				return err
			}
		}
		for i, n := range m.Versions {
			now, err := s.mark(ctx, org, at, key, m, int64(n))
			if err != nil {
				return err
			}
			if now > 0 {
				out.Versions = map[string]int{key: int(now)}
			}
			done = max(done, i+1)
		}
		return nil
	})
	switch {
	case err == nil:
		return out, nil
	case done > 0 && errs.CodeOf(err) != errs.Internal:
		err = errs.Wrap(err, errs.CodeOf(err), "%s; of the versions that were named, some may be changed already",
			errs.Message(err))
	}
	return secret.Outcome{}, err
}

// mayDestroy refuses the destruction of versions of which one is somebody else's.
func (s *Store) mayDestroy(ctx context.Context, org id.ID, at kv2.Location, key string, versions []int) error {
	if _, err := s.log.Settled(ctx, org, at); err != nil {
		return err
	}
	entry := at.Below(paths.Path(key))
	m, _, err := entry.Metadata(ctx)
	if err != nil {
		return err
	}
	return conn.Each(ctx, len(versions), func(ctx context.Context, i int) error {
		v, kept := m.Version(int64(versions[i]))
		if !kept || !m.Readable(v) {
			return nil
		}
		e, err := entry.ReadVersion(ctx, int64(versions[i]))
		if err == nil {
			err = theirs(e, key)
		}
		return err
	})
}

// mark marks one version, and gives the version that the secret has come back as.
func (s *Store) mark(ctx context.Context, org id.ID, at kv2.Location, key string, marking secret.Marking,
	version int64) (int64, error) {
	c, err := s.log.Settled(ctx, org, at)
	if err != nil {
		return 0, err
	}
	path := paths.Path(key)
	entry := at.Below(path)
	m, found, err := entry.Metadata(ctx)
	if err != nil {
		return 0, err
	}
	if !found || m.Current == 0 {
		return 0, secret.NotFound(key)
	}
	if err := marking.Of(m.Created); err != nil {
		return 0, err
	}
	mark, by := marking.Mark, marking.By
	v, kept := m.Version(version)
	if !kept || v.Destroyed {
		return 0, nil
	}
	present := version == m.Current
	defer s.forget(org, path)
	if present && m.Alive() && mark != secret.UndeleteVersion {
		err := s.log.Change(ctx, org, at, c, []intent.Step{{Op: intent.Delete, Path: path, Base: version, By: by}})
		if err != nil || mark == secret.DeleteVersion {
			return 0, err
		}
	}
	marked := func(do func(context.Context, int64) error, is func(kv2.Metadata, kv2.VersionMetadata) bool) error {
		return once(ctx, entry, func(ctx context.Context) error { return do(ctx, version) }, func(m kv2.Metadata) bool {
			v, kept := m.Version(version)
			return kept && is(m, v)
		})
	}
	switch {
	case mark == secret.DestroyVersion:
		return 0, marked(entry.Destroy, func(_ kv2.Metadata, v kv2.VersionMetadata) bool { return v.Destroyed })
	case m.Readable(v) == (mark == secret.UndeleteVersion): // so already
		return 0, nil
	case mark == secret.DeleteVersion:
		return 0, marked(entry.Delete, func(m kv2.Metadata, v kv2.VersionMetadata) bool { return !m.Readable(v) })
	case present:
		return s.restore(ctx, org, at, key, version, by)
	}
	return 0, marked(entry.Undelete, kv2.Metadata.Readable)
}

// theirs says why nothing is removed for good that somebody else keeps: its value is not a text.
func theirs(e kv2.Entry, key string) error {
	_, ours, err := paths.Value(e)
	if err != nil || ours || e.Data == nil {
		return err
	}
	return errs.New(errs.Unprocessable, "in the secret store another program keeps something under the name %q that "+
		"is not a text; remove it there", errs.Clip(key))
}

// Remove removes a secret's entry, unless it is somebody else's. KV has no check-and-set for that: what others set
// after the look counts as set before.
func (s *Store) Remove(ctx context.Context, org id.ID, key string, deletedOnly bool) error {
	if key == "" {
		return ctx.Err()
	}
	return s.inTurn(ctx, org, key, func(ctx context.Context, at kv2.Location) error {
		if _, err := s.log.Settled(ctx, org, at); err != nil {
			return err
		}
		entry := at.Below(paths.Path(key))
		e, err := entry.Read(ctx)
		if err == nil {
			err = theirs(e, key)
		}
		if err == nil && deletedOnly && e.Data != nil {
			err = secret.ErrNotDeleted
		}
		if err != nil {
			return err
		}
		defer s.forget(org, paths.Path(key))
		return entry.RemoveOnce(ctx)
	})
}
