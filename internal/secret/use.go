package secret

import (
	"context"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// User is a store that can give values out for use from memory: within a time that its configuration bounds, one may be
// given that another client of the same data has changed since. What was changed through the store itself is seen at
// once. Where values are managed, Get is the way.
type User interface {
	Use(ctx context.Context, org id.ID, key string) (Value, error)
	// UseAll gives the values of those of the organisation's secrets whose keys want takes.
	UseAll(ctx context.Context, org id.ID, want func(key string) bool) (map[string]Value, error)
}

// Use reads a value for use: from memory where the store does that, else by Get.
func Use(ctx context.Context, s Store, org id.ID, key string) (Value, error) {
	if u, ok := s.(User); ok {
		return u.Use(ctx, org, key)
	}
	return s.Get(ctx, org, key)
}

// UseAll reads for use, as Use does, the values of those secrets whose keys want takes.
func UseAll(ctx context.Context, s Store, org id.ID, want func(key string) bool) (map[string]Value, error) {
	if u, ok := s.(User); ok {
		return u.UseAll(ctx, org, want)
	}
	keys, err := s.Keys(ctx, org)
	if err != nil {
		return nil, err
	}
	values := make(map[string]Value)
	for _, k := range keys {
		if !want(k) {
			continue
		}
		v, err := s.Get(ctx, org, k)
		if errs.Is(err, errs.NotFound) { // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		values[k] = v
	}
	return values, nil
}

// Use implements User over whatever store it is.
func (m *metered) Use(ctx context.Context, org id.ID, key string) (v Value, err error) {
	defer func(start time.Time) { m.observe(ctx, "use", org, start, err) }(time.Now())
	return Use(ctx, m.Store, org, key)
}

// UseAll implements User over whatever store it is.
func (m *metered) UseAll(ctx context.Context, org id.ID, want func(string) bool) (vs map[string]Value, err error) {
	defer func(start time.Time) { m.observe(ctx, "use", org, start, err) }(time.Now())
	return UseAll(ctx, m.Store, org, want)
}

// Detail is one thing that a store knows of its state, for health checks: it names no address.
type Detail struct {
	Name    string // such as vault-token
	OK      bool
	Message string
}

// Details are what the store tells of itself beyond Check; none for many.
func Details(s Store) []Detail {
	if d, ok := s.(interface{ Details() []Detail }); ok {
		return d.Details()
	}
	return nil
}

// Details implements what the function Details asks for.
func (m *metered) Details() []Detail { return Details(m.Store) }

// ReadOnly says whether the store refuses every change of the organisation's secrets, because others manage them.
func ReadOnly(s Store, org id.ID) bool {
	r, ok := s.(interface{ ReadOnly(org id.ID) bool })
	return ok && r.ReadOnly(org)
}

// ReadOnly implements what the function ReadOnly asks for.
func (m *metered) ReadOnly(org id.ID) bool { return ReadOnly(m.Store, org) }
