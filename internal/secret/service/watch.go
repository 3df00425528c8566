package service

import (
	"context"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/notice"
)

// watchPage is how many secrets are read at a time where only their versions are wanted.
const watchPage = 64

// Notices makes the hub of those who wait for changes. A store that tells of none is looked at every so often.
func (s *Service) Notices(every time.Duration) *notice.Hub[secret.Snapshot] {
	c := notice.Config[secret.Snapshot]{Look: s.look, Every: every}
	if w, ok := secret.As[secret.Watched](s.store); ok {
		c.Changes, c.Look = w.Watch, s.lookInPages
	}
	s.notices = notice.New(c)
	return s.notices
}

// look reads what there is, from memory where the store has it there, and lets go of the values.
func (s *Service) look(ctx context.Context, org id.ID) (secret.Snapshot, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return secret.Snapshot{}, err
	}
	snap, err := s.store.Read(ctx, org, secret.Query{ForUse: true, Versions: true})
	return snap.WithoutValues(), err
}

// lookInPages is look for a store that tells of each change: what changes between two pages is looked at again.
func (s *Service) lookInPages(ctx context.Context, org id.ID) (secret.Snapshot, error) {
	keys, err := s.keys(ctx, org)
	if err != nil {
		return secret.Snapshot{}, err
	}
	all := secret.Snapshot{Secrets: make(map[string]secret.Secret, len(keys))}
	for page := range slices.Chunk(keys, watchPage) {
		snap, err := s.store.Read(ctx, org, secret.Query{Keys: page, Versions: true})
		if err != nil {
			return secret.Snapshot{}, err
		}
		all.Version, all.Changed = snap.Version, snap.Changed
		for key, got := range snap.WithoutValues().Secrets {
			all.Secrets[key] = got
		}
	}
	return all, nil
}

// Watch is a caller's view of the secrets that they may use, without values, as it changes.
type Watch struct {
	member *notice.Member[secret.Snapshot]
	ended  <-chan struct{}
	org    id.ID
	keys   []string
}

// Watch begins to watch the secrets of the keys, or all that the token may use; Close ends it. Like values, notices are
// given to tokens that may use secrets. Names says that the caller is told names, which is put on record. It gives
// errs.TooManyRequests where too many watch.
func (s *Service) Watch(ctx context.Context, c *access.Caller, org id.ID, keys []string, names bool) (*Watch, error) {
	act := access.Act{Action: "secrets.list", Org: org, Keys: keys}
	if err := s.mayWatch(c, org); err != nil {
		return nil, s.guard.Deny(ctx, c, act, err)
	}
	if s.notices == nil {
		return nil, errs.New(errs.NotImplemented, "this server tells of no changes; ask at an interval")
	}
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return nil, s.guard.Done(ctx, c, act, err)
	}
	if names {
		if err := s.guard.Allow(ctx, c, act); err != nil {
			return nil, err
		}
	}
	member, err := s.notices.Join(org, c.AuthorizationID.String())
	if err != nil {
		return nil, s.guard.Done(ctx, c, act, err)
	}
	return &Watch{member, s.notices.Ended(), org, keys}, nil
}

// mayWatch says why the caller may not be told of changes; nil where they may.
func (s *Service) mayWatch(c *access.Caller, org id.ID) error {
	switch {
	case !c.AuthorizationID.Valid():
		return errTokensOnly
	case !c.MaySome(access.Use, org):
		return errs.New(errs.Unauthorized, "%s is unauthorized", need(access.Use, org, ""))
	}
	return nil
}

// Close ends the watch.
func (w *Watch) Close() { w.member.Leave() }

// Tell has f called when Now may give something else, or Ended is closed, until Close; at once where since, which Now
// has given, is closed already. It must wait for nothing.
func (w *Watch) Tell(since <-chan struct{}, f func()) { w.member.Tell(since, f) }

// Ended is closed when the server ends.
func (w *Watch) Ended() <-chan struct{} { return w.ended }

// Now is what the caller may know now; changed is closed when there is something else. It waits for the first look at
// the organisation, which may end with the store's error.
func (w *Watch) Now(ctx context.Context, c *access.Caller) (snap secret.Snapshot, changed <-chan struct{}, err error) {
	for {
		all, known, changed, err := w.member.State()
		if err != nil {
			return secret.Snapshot{}, nil, err
		}
		if known {
			return w.of(all, c), changed, nil
		}
		select {
		case <-changed:
		case <-w.ended:
			return secret.Snapshot{}, nil, errs.New(errs.Unavailable, "the server is stopping")
		case <-ctx.Done():
			return secret.Snapshot{}, nil, ctx.Err()
		}
	}
}

// of is what of the organisation's secrets the caller asked for and may use.
func (w *Watch) of(all secret.Snapshot, c *access.Caller) secret.Snapshot {
	mine := secret.Snapshot{Version: all.Version, Changed: all.Changed, Secrets: make(map[string]secret.Secret)}
	take := func(key string) {
		if got, ok := all.Secrets[key]; ok && c.May(need(access.Use, w.org, key)) {
			mine.Secrets[key] = got
		}
	}
	for _, key := range w.keys {
		take(key)
	}
	if len(w.keys) == 0 {
		for key := range all.Secrets {
			take(key)
		}
	}
	return mine
}
