package intent

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
)

// Purge removes the organisation's secrets with all their versions, and what is kept beside them, in its turn. It is
// committed in the control entry first, so that no reader sees half of it, and that entry goes last.
func (l *Log) Purge(ctx context.Context, org id.ID) error {
	return l.queue.Alone(ctx, org, func(ctx context.Context) error {
		places, err := l.places.AtEnd(ctx, org)
		if errors.Is(err, kv2.ErrNoName) {
			l.conn.Log.Error("an organisation has ended whose secrets are kept under its name, which is not "+
				"known any more; remove them in Vault by hand", "org", org)
			return nil
		}
		for _, at := range places {
			ended := l.purgeAt(ctx, org, at)
			if kv2.Theirs(ended) {
				l.conn.Log.Error("an organisation has ended, and what is at the place of its secrets is another's: "+
					"it stays", "path", at.In("metadata"), "error", ended)
				ended = nil
			}
			err = errors.Join(err, ended)
		}
		return err
	})
}

func (l *Log) purgeAt(ctx context.Context, org id.ID, at kv2.Location) error {
	at.Holds = "the secret"
	l.forget(org)
	defer l.forget(org)
	c, err := l.Settled(ctx, org, at)
	if err != nil {
		return err
	}
	listed, err := paths.List(ctx, at)
	if err != nil {
		return err
	}
	if c.version == 0 && len(listed) == 0 { // but parts of changes, maybe, where somebody has removed the rest by hand
		return conn.Kept(removeJournals(ctx, at))
	}
	next := c.next()
	next.kept.Pending = &pending{ID: rand.Text(), Kind: purging}
	if _, err := l.commit(ctx, org, at, next); err != nil {
		return err
	}
	return l.removeAll(ctx, org, at)
}

func (l *Log) forget(org id.ID) {
	l.sweeps.forget(org)
	l.states.forget(org)
	l.forgetAll(org)
}

// removeAll carries out a purge. Where the policy forbids to remove entries, their latest versions at least are
// deleted, as far as that goes.
func (l *Log) removeAll(ctx context.Context, org id.ID, at kv2.Location) error {
	defer l.forget(org)
	for range 3 { // what others set meanwhile goes too
		listed, err := paths.List(ctx, at)
		if err != nil {
			return err
		}
		if len(listed) == 0 {
			break
		}
		if err := removeEntries(ctx, at, listed); conn.Is(err, conn.Denied) {
			names, err := at.Below(journals).List(ctx)
			if err != nil {
				return err
			}
			for _, name := range names { // which hold values as well
				listed[journals+"/"+name] = true
			}
			return conn.Kept(deleteEntries(ctx, at, listed))
		} else if err != nil {
			return err
		}
	}
	return conn.Kept(removeOwn(ctx, at))
}

// removeOwn removes what the log keeps beside the secrets.
func removeOwn(ctx context.Context, at kv2.Location) error {
	if err := removeJournals(ctx, at); err != nil {
		return err
	}
	return at.Below(StateEntry).Remove(ctx, "metadata")
}

func removeJournals(ctx context.Context, at kv2.Location) error {
	names, err := at.Below(journals).List(ctx)
	if err != nil {
		return err
	}
	return conn.Each(ctx, len(names), func(ctx context.Context, i int) error {
		return at.Below(journals+"/"+names[i]).Remove(ctx, "metadata")
	})
}

func removeEntries(ctx context.Context, at kv2.Location, listed map[string]bool) error {
	paths := sorted(listed)
	return conn.Each(ctx, len(paths), func(ctx context.Context, i int) error {
		return at.Below(paths[i]).Remove(ctx, "metadata")
	})
}

func deleteEntries(ctx context.Context, at kv2.Location, listed map[string]bool) error {
	paths := sorted(listed)
	err := conn.Each(ctx, len(paths), func(ctx context.Context, i int) error {
		e, err := at.Below(paths[i]).Read(ctx)
		if err != nil || e.Data == nil {
			return err
		}
		return at.Below(paths[i]).Delete(ctx, e.Version)
	})
	if err != nil {
		return err
	}
	return conn.ErrKeptVersions
}

func sorted(set map[string]bool) []string {
	paths := make([]string, 0, len(set))
	for p := range set {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}
