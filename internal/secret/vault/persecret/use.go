package persecret

import (
	"context"
	"sync"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/persecret/paths"
)

// How many values, and lists of names, are kept in memory.
const (
	maxCached = 10_000
	maxLists  = 1000
)

func (c Config) caches(s *Store) (*cache.Cache[name, secret.Value], *cache.Cache[id.ID, []string]) {
	values := cache.New(cache.Config[name, secret.Value]{
		Read: func(ctx context.Context, n name) (secret.Value, error) {
			ctx, cancel := s.conn.Bound(ctx)
			defer cancel()
			return s.Get(ctx, n.org, n.key)
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxCached, Outage: conn.Away,
	})
	names := cache.New(cache.Config[id.ID, []string]{
		Read: func(ctx context.Context, org id.ID) ([]string, error) {
			ctx, cancel := s.conn.Bound(ctx)
			defer cancel()
			return s.Keys(ctx, org)
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxLists, Outage: conn.Away,
	})
	return values, names
}

// Use reads one value from memory.
func (s *Store) Use(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	v, err := s.cache.Get(ctx, name{org, key})
	if err != nil {
		return secret.Value{}, conn.Known(ctx, err)
	}
	return v, nil
}

// UseAll reads the values of those of the organisation's secrets whose keys want takes, from memory where they are there.
func (s *Store) UseAll(ctx context.Context, org id.ID, want func(key string) bool) (map[string]secret.Value, error) {
	keys, err := s.names.Get(ctx, org)
	if err != nil {
		return nil, conn.Known(ctx, err)
	}
	var mu sync.Mutex
	values := make(map[string]secret.Value)
	err = conn.Each(ctx, len(keys), func(ctx context.Context, i int) error {
		if !want(keys[i]) {
			return nil
		}
		v, err := s.cache.Get(ctx, name{org, keys[i]})
		if errs.Is(err, errs.NotFound) { // deleted meanwhile
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		values[keys[i]] = v
		return err
	})
	if err != nil {
		return nil, conn.Known(ctx, err)
	}
	return values, nil
}

// changed forgets a secret's value, and the list that it may be new in or gone from.
func (s *Store) changed(n name) {
	s.cache.Drop(n)
	s.names.Drop(n.org)
}

// forget forgets what is known of an entry that is about to be changed.
func (s *Store) forget(org id.ID, path string) {
	if key, ok := paths.NameAt(path); ok {
		s.versions.forget(name{org, key})
		s.changed(name{org, key})
	}
}

// forgetAll forgets what is known of the organisation's secrets.
func (s *Store) forgetAll(org id.ID) {
	s.versions.forgetAll(org)
	s.names.Drop(org)
	s.cache.DropIf(func(n name) bool { return n.org == org })
}
