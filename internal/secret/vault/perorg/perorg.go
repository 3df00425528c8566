// Package perorg is the layout in which an organisation's secrets are one entry, as InfluxDB has it: the entry's data
// map holds key -> value. Both can work on the same entries. Values that are not strings are someone else's: they are
// not listed, not read, and every write keeps them as they are.
//
// A change reads the entry, merges, and writes with check-and-set. The changes of one organisation in this process go
// one after the other, those that wait together in one write (package batch); against other
// writers a write is repeated.
package perorg

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"strongroom/internal/errs"
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
	Quota                secret.Quota
}

// Store keeps secrets in this layout.
type Store struct {
	conn   *conn.Conn
	places *kv2.Places
	queue  *queue.Queue
	quota  secret.Quota
	shapes *shapes
	lists  *flight.Group[[]string]
	cache  *cache.Cache[id.ID, entry]
	// claimed are the entries that say whose they are, as far as Vault allows that.
	claimed sync.Map
}

// maxCached is how many organisations' entries are kept in memory.
const maxCached = 1000

// New makes the store.
func New(c Config) *Store {
	s := &Store{conn: c.Conn, places: c.Places, quota: c.Quota, shapes: newShapes()}
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

// Keys lists the keys whose values are strings. Nobody may change the list: where nothing has
// changed, it is the last one.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) { return s.lists.Get(ctx, org) }

func (s *Store) keys(ctx context.Context, org id.ID) ([]string, error) {
	if k, ok, err := s.still(ctx, org); ok || err != nil {
		return k.keys, err
	}
	_, k, err := s.learn(ctx, org)
	return k.keys, err
}

// Read reads values from the organisation's entry, which is one moment; for use, from the entry in memory. What is not
// a string is nobody's secret here.
func (s *Store) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	read := s.read
	if q.ForUse {
		read = s.cache.Get
	}
	e, err := read(ctx, org)
	if err != nil {
		return secret.Snapshot{}, conn.Known(ctx, err)
	}
	snap := secret.Snapshot{Version: e.Version, Changed: e.Written(), Secrets: make(map[string]secret.Secret)}
	for key, raw := range e.wanted(q) {
		v, err := stringOf(raw)
		if err != nil {
			return secret.Snapshot{}, err
		}
		snap.Secrets[key] = secret.Secret{Value: v}
	}
	return snap, nil
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

var errNoVersions = errs.New(errs.NotImplemented, "the organization's secrets are kept in one entry of Vault, where "+
	"a single one has no version; with --vault-layout secret each has its own")

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if len(c.Versions) > 0 {
		return secret.Outcome{}, errNoVersions
	}
	return queue.Apply(ctx, s.queue, org, c)
}

// Purge removes the entry with all its versions and metadata.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	return s.queue.Alone(ctx, org, func(ctx context.Context) error {
		defer s.cache.Drop(org)
		return s.purge(ctx, org)
	})
}

// purge removes everything. Where the policy forbids it, the latest version at least is deleted, as far as that goes,
// and it is over once somebody has removed the entry by hand.
func (s *Store) purge(ctx context.Context, org id.ID) error {
	places, err := s.places.AtEnd(ctx, org)
	if errors.Is(err, kv2.ErrNoName) {
		s.conn.Log.Error("an organisation has ended whose secrets are kept under its name, which is not "+
			"known any more; remove them in Vault by hand", "org", org)
		return nil
	}
	if err != nil {
		return err
	}
	s.shapes.forget(org)
	for _, at := range places {
		s.claimed.Delete(at.Entry)
		err = errors.Join(err, purgeAt(ctx, at))
	}
	return err
}

func purgeAt(ctx context.Context, at kv2.Location) error {
	if at.Owner != 0 {
		if _, err := at.Read(ctx); kv2.Theirs(err) {
			at.Conn.Log.Error("an organisation has ended, and what is at the place of its secrets is another's: it "+
				"stays", "path", at.In("data"), "error", err)
			return nil
		}
	}
	err := at.RemoveOnce(ctx)
	if !conn.Is(err, conn.Denied) {
		return err
	}
	switch e, looked := at.Read(ctx); {
	case looked != nil: // it is not the policy alone
		return err
	case e.Version == 0:
		return nil
	}
	if err := at.Remove(ctx, "data"); err != nil {
		return conn.Kept(err)
	}
	return conn.ErrKeptVersions
}
