// Package perorg is the layout in which an organisation's secrets are one entry, as InfluxDB has it: the entry's data map
// holds key -> value. Both can work on the same entries. Values that are not strings are someone else's: they are not
// listed, not read, and every write keeps them as they are.
//
// A change reads the entry, merges, and writes with check-and-set. The changes of one organisation in this process go
// one after the other, those that wait together in one write (package queue); against other writers a write is repeated.
package perorg

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/flight"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// Config is what the layout works with. CacheTTL and CacheStale are for Use.
type Config struct {
	Conn                 *conn.Conn
	Places               *kv2.Places
	CacheTTL, CacheStale time.Duration
}

// Store keeps secrets in this layout.
type Store struct {
	conn   *conn.Conn
	places *kv2.Places
	queue  *queue.Queue
	shapes *shapes
	lists  *flight.Group[[]string]
	cache  *cache.Cache[id.ID, entry]
}

// maxCached is how many organisations' entries are kept in memory.
const maxCached = 1000

// New makes the store.
func New(c Config) *Store {
	s := &Store{conn: c.Conn, places: c.Places, shapes: newShapes()}
	s.queue = queue.New(c.Conn, s.write)
	s.lists = flight.New(c.Conn.Bounded, s.keys)
	s.cache = cache.New(cache.Config[id.ID, entry]{
		Read: func(ctx context.Context, org id.ID) (entry, error) {
			ctx, cancel := s.conn.Bound(ctx)
			defer cancel()
			return s.read(ctx, org)
		},
		TTL: c.CacheTTL, Stale: c.CacheStale, Max: maxCached,
		Outage: conn.Away,
	})
	return s
}

// Close waits for the writers.
func (s *Store) Close() {
	s.queue.Close()
	s.lists.Close()
	s.cache.Clear()
}

// at is where the organisation's entry is.
func (s *Store) at(ctx context.Context, org id.ID) (kv2.Location, error) {
	at, err := s.places.At(ctx, org)
	at.Holds = "the secrets of an organisation are kept together and"
	at.Remedy = "; --vault-layout secret keeps each in an entry of its own"
	return at, err
}

// Keys lists the keys whose values are strings. Nobody may change the list: where nothing has changed, it is the last one.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) { return s.lists.Get(ctx, org) }

func (s *Store) keys(ctx context.Context, org id.ID) ([]string, error) {
	if k, ok, err := s.still(ctx, org); ok || err != nil {
		return k.keys, err
	}
	_, k, err := s.learn(ctx, org)
	return k.keys, err
}

// Get reads one value.
func (s *Store) Get(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	e, err := s.read(ctx, org)
	if err != nil {
		return secret.Value{}, err
	}
	return e.value(key)
}

// Use reads one value from the organisation's entry in memory.
func (s *Store) Use(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	e, err := s.cache.Get(ctx, org)
	if err != nil {
		return secret.Value{}, conn.Known(ctx, err)
	}
	return e.value(key)
}

// UseAll reads values from the organisation's entry in memory. What is not a string is nobody's secret here.
func (s *Store) UseAll(ctx context.Context, org id.ID, want func(key string) bool) (map[string]secret.Value, error) {
	e, err := s.cache.Get(ctx, org)
	if err != nil {
		return nil, conn.Known(ctx, err)
	}
	values := make(map[string]secret.Value)
	for key, raw := range e.Data {
		if !isString(raw) || !want(key) {
			continue
		}
		if values[key], err = e.value(key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Foreign names the values that are not strings.
func (s *Store) Foreign(ctx context.Context, org id.ID) ([]string, error) {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	_, k, err := s.learn(ctx, org)
	return slices.Sorted(maps.Keys(k.foreign)), err
}

// Cached are the counts of what Use gives out.
func (s *Store) Cached() cache.Counts { return s.cache.Counts() }

// Waiting is how many changes wait for the organisation's next write.
func (s *Store) Waiting(org id.ID) int { return s.queue.Len(org) }

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	return s.queue.Apply(ctx, org, c)
}

// Purge removes the entry with all its versions and metadata.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.queue.Do(ctx, org, func(ctx context.Context) error {
		defer s.cache.Drop(org)
		return s.purge(ctx, org)
	})
}

// purge removes everything. Where the policy forbids it, the latest version at least is deleted, as far as that goes.
func (s *Store) purge(ctx context.Context, org id.ID) error {
	places, err := s.places.AtEnd(ctx, org)
	if errors.Is(err, kv2.ErrNoName) {
		s.conn.Log.Error("an organisation has ended whose secrets are kept under its name, which is not known any more; "+
			"remove them in Vault by hand", "org", org)
		return nil
	}
	if err != nil {
		return err
	}
	s.shapes.forget(org)
	for _, at := range places {
		err = errors.Join(err, purgeAt(ctx, at))
	}
	return err
}

func purgeAt(ctx context.Context, at kv2.Location) error {
	err := at.Remove(ctx, "metadata")
	if !conn.Is(err, conn.Denied) {
		return err
	}
	if err := at.Remove(ctx, "data"); err != nil {
		return err
	}
	return conn.ErrKeptVersions
}
