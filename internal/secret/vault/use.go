package vault

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
)

// Use implements secret.User: values come from memory for Config.CacheTTL after they were read, and during an outage for
// Config.CacheStale longer. One read an organisation is under way at a time. A change through this store is seen at once.
func (s *Store) Use(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	e, err := s.cache.Get(ctx, org)
	if err != nil {
		switch end := ended(ctx); {
		case errors.Is(end, errTooSlow):
			err = told[slow]
		case end != nil:
			err = end
		}
		return secret.Value{}, err
	}
	return e.value(key)
}

// maxCached is how many organisations' entries are kept in memory.
const maxCached = 1000

func (c Config) cache(s *Store) *cache.Cache[entry] {
	return cache.New(cache.Config[entry]{
		Read: func(ctx context.Context, org id.ID) (entry, error) {
			ctx, cancel := s.bound(ctx)
			defer cancel()
			return s.read(ctx, org)
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxCached,
		Outage: func(err error) bool { return errs.Is(err, errs.Unavailable) },
	})
}

// Details tells of the token, whose end is the outage that can be seen coming.
func (s *Store) Details() []secret.Detail {
	state := s.session.State()
	life, ends := state.Life(time.Now())
	d := secret.Detail{Name: "vault-token", OK: true}
	switch {
	case !state.Failing.IsZero():
		d.OK, d.Message = false, "logging in to Vault has failed since "+state.Failing.UTC().Format(time.RFC3339)
	case !ends:
		d.Message = "does not end, as far as Vault tells"
	case life == 0:
		d.OK, d.Message = false, "has ended"
	case state.Renewable:
		d.Message = "is renewed in time; lasts for " + life.Round(time.Second).String()
	case s.session.Lasting():
		d.Message = "is replaced in time; lasts for " + life.Round(time.Second).String()
	default:
		d.Message = "cannot be renewed and ends in " + life.Round(time.Second).String()
	}
	return []secret.Detail{d}
}
