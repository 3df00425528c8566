package persecret

import (
	"context"
	"maps"
	"slices"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/persecret/seen"
)

// How many answers for use, and lists of names, are kept in memory.
const (
	maxCached = 10_000
	maxLists  = 1000
)

// request is a read for use: of which names, in their order, each between two NULs, which no name holds. What is asked
// for together is kept together, so that what is given out is of one moment.
type request struct {
	org  id.ID
	keys string
}

const sep = "\x00"

func requestOf(org id.ID, keys []string) request {
	return request{org, sep + strings.Join(keys, sep) + sep}
}

func (r request) names() []string {
	if r.keys == sep+sep {
		return []string{}
	}
	return strings.Split(r.keys[1:len(r.keys)-1], sep)
}

func (r request) has(key string) bool { return strings.Contains(r.keys, sep+key+sep) }

func (c Config) caches(s *Store) (*cache.Cache[request, moment], *cache.Cache[id.ID, listing]) {
	values := cache.New(cache.Config[request, moment]{
		Read: func(ctx context.Context, r request) (moment, error) {
			ctx, cancel := s.conn.Bound(ctx)
			defer cancel()
			return s.fresh(ctx, r.org, r.names())
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxCached, Outage: conn.Away,
	})
	names := cache.New(cache.Config[id.ID, listing]{
		Read: func(ctx context.Context, org id.ID) (listing, error) {
			ctx, cancel := s.conn.Bound(ctx)
			defer cancel()
			return s.lists.Get(ctx, org)
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxLists, Outage: conn.Away,
	})
	return values, names
}

// Read reads values. Of changes of several secrets it sees all or nothing. It tells no version of the organisation.
func (s *Store) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	keys := q.Keys
	if keys != nil {
		keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
			return key == "" || strings.Contains(key, sep)
		})
		slices.Sort(keys)
		keys = slices.Compact(keys)
	}
	var m moment
	var err error
	switch {
	case keys != nil && q.ForUse:
		m, err = s.cache.Get(ctx, requestOf(org, keys))
	case keys != nil:
		m, err = s.fresh(ctx, org, keys)
	case q.ForUse:
		m, err = s.useAll(ctx, org, q.Want)
	default:
		m, err = s.several(ctx, org, nil, q.Want)
	}
	if err != nil {
		return secret.Snapshot{}, conn.Known(ctx, err)
	}
	return secret.Snapshot{Secrets: maps.Clone(m.secrets)}, nil // what is kept is nobody's to change
}

// fresh reads the secrets of the keys.
func (s *Store) fresh(ctx context.Context, org id.ID, keys []string) (moment, error) {
	if len(keys) == 1 {
		return s.one(ctx, org, keys[0])
	}
	return s.several(ctx, org, keys, nil)
}

// useAll reads those of the organisation's secrets whose keys want takes, from memory where they are there. A list and
// values that are not of one moment do not go together.
func (s *Store) useAll(ctx context.Context, org id.ID, want func(key string) bool) (moment, error) {
	for range 2 {
		listed, err := s.names.Get(ctx, org)
		if err != nil {
			return moment{}, err
		}
		r := requestOf(org, listed.wanted(want))
		m, err := s.cache.Get(ctx, r)
		if err != nil {
			return moment{}, err
		}
		if m.state.Same(listed.state) {
			return m, nil
		}
		s.names.Drop(org)
		s.cache.Drop(r)
	}
	return s.several(ctx, org, nil, want)
}

// changed forgets a secret's value, and the list that it may be new in or gone from.
func (s *Store) changed(n seen.Name) {
	s.cache.DropIf(func(r request) bool { return r.org == n.Org && r.has(n.Key) })
	s.names.Drop(n.Org)
}

// forget forgets what is known of an entry that is about to be changed.
func (s *Store) forget(org id.ID, path string) {
	if key, ok := paths.NameAt(path); ok {
		s.alive.Forget(seen.Name{Org: org, Key: key})
		s.changed(seen.Name{Org: org, Key: key})
	}
}

// forgetAll forgets what is known of the organisation's secrets.
func (s *Store) forgetAll(org id.ID) {
	s.alive.ForgetAll(org)
	s.names.Drop(org)
	s.cache.DropIf(func(r request) bool { return r.org == org })
}
