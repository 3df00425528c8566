package vault

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Store is a secret.Store over one KV version 2 mount. Make it with New.
type Store struct {
	client  *api.Client
	timeout time.Duration
	mount   string
	log     *notices

	mu      sync.Mutex
	writers map[id.ID]*writer
}

var _ secret.Store = (*Store)(nil)

// dataPath is an organisation's entry. The ID is 16 hexadecimal characters: nothing a caller sends is part of a path.
func (s *Store) dataPath(org id.ID) string { return s.mount + "/data/" + org.String() }

// call runs f within the store's time.
func (s *Store) call(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(timed)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Keys implements secret.Store.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	keys := []string{}
	err := s.call(ctx, func(ctx context.Context) error {
		e, err := s.read(ctx, org)
		if err != nil {
			return err
		}
		for k, raw := range e.data {
			if isString(raw) {
				keys = append(keys, k)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return keys, nil
}

// Get implements secret.Store.
func (s *Store) Get(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	var v secret.Value
	err := s.call(ctx, func(ctx context.Context) error {
		e, err := s.read(ctx, org)
		if err != nil {
			return err
		}
		text, ok := e.text(key)
		if !ok {
			return secret.NotFound(key)
		}
		v = secret.NewValue([]byte(text))
		return nil
	})
	return v, err
}

// Purge implements secret.Store: it removes the entry with all its versions, also those that InfluxDB wrote.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.call(ctx, func(ctx context.Context) error {
		path := s.mount + "/metadata/" + org.String()
		_, err := s.client.Logical().DeleteWithContext(ctx, path)
		return s.explain(ctx, "delete", path, err)
	})
}

// Check implements secret.Store.
func (s *Store) Check(ctx context.Context) error {
	return s.call(ctx, func(ctx context.Context) error {
		h, err := s.client.Sys().HealthWithContext(ctx)
		switch {
		case err != nil:
			return s.explain(ctx, "read", "sys/health", err)
		case !h.Initialized:
			return errs.New(errs.Unavailable, "the secret store is not initialized")
		case h.Sealed:
			return errSealed
		}
		return nil
	})
}
