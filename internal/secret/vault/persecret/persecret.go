// Package persecret is the layout in which each secret is an entry of its own, <path>/<name> with the data
// {"value": "<value>"}, as `vault kv put … value=…` writes it: a secret has its own versions and policies, and an
// organisation no ceiling. Who set a version through this server stands beside the value, as set_by.
//
// # Changes
//
// A change that sets one secret is one write with check-and-set. Everything else, a change of several names or one that
// deletes, is a journal: its steps, each with the version of the entry that it builds on, are written into entries that
// nobody else knows of; then one check-and-set write of the organisation's control entry commits it; then the steps are
// carried out, and the control entry is put to rest. Since a step names the version it builds on, carrying it out again
// does nothing, and any instance that finds a journal committed can finish it. A step that finds a later version is left
// out: that was written by somebody else meanwhile, and the change counts as made before. A deletion has no check-and-set
// and may be carried out late, by a server that stood still; a secret is therefore brought back as a new version.
//
// # Readers
//
// Readers look at the control entry too, and see a committed journal as carried out, a purge as done. A list is one
// moment as far as changes of several names go: the control entry is the same before and after it, or the list is made
// again. Vault reads one folder at a time, so of single sets in several folders a list may have a later and not an earlier.
//
// # Deletions
//
// A deletion deletes the entry's latest version as Vault does, so that it can be brought back, also by Vault's own means.
// Vault lists such entries as before; the control entry therefore tells which names were deleted. That is a hint: whether
// a name is still deleted, its entry tells. Entries go for good after secret.KeepDeleted (sweep.go).
package persecret

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	conn     *conn.Conn
	places   *kv2.Places
	queue    *queue.Queue
	cache    *cache.Cache[name, secret.Value]
	names    *cache.Cache[id.ID, []string] // for UseAll
	controls controls
	versions versions
	sweeps   sweeps
	lists    *flight.Group[[]string]
	hints    hints
	// finishing are the organisations for which a change that was found unfinished waits for its turn to be carried out.
	finishing sync.Map
	running   sync.WaitGroup
}

// name is one secret of one organisation.
type name struct {
	org id.ID
	key string
}

// atOnce bounds the requests of one operation that are under way at a time.
const atOnce = 16

// New makes the store.
func New(c Config) *Store {
	s := &Store{conn: c.Conn, places: c.Places}
	s.queue = queue.New(c.Conn, s.write)
	s.lists = flight.New(c.Conn.Bounded, s.keys)
	s.cache, s.names = c.caches(s)
	s.running.Go(s.sweepNowAndThen)
	return s
}

// Close waits for the writers.
func (s *Store) Close() {
	s.queue.Close()
	s.lists.Close()
	s.running.Wait()
	s.cache.Clear()
	s.names.Clear()
}

// Cached are the counts of what Use gives out.
func (s *Store) Cached() cache.Counts { return s.cache.Counts() }

// Waiting is how many changes wait for the organisation's next write.
func (s *Store) Waiting(org id.ID) int { return s.queue.Len(org) }

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) error {
	return s.queue.Apply(ctx, org, c)
}

// at is where the organisation's entries are.
func (s *Store) at(ctx context.Context, org id.ID) (kv2.Location, error) {
	at, err := s.places.At(ctx, org)
	at.Holds = "the secret"
	return at, err
}

// each does something for n things, some at once, until one fails.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}
