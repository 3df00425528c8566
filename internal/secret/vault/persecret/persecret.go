// Package persecret is the layout in which each secret is an entry of its own, <path>/<name> with the data
// {"value": "<value>"}, as `vault kv put … value=…` writes it: a secret has its own versions and policies, and an
// organisation no ceiling. Who set a version through this server stands beside the value, as set_by.
//
// # Changes
//
// A change that sets one secret is one write with check-and-set. Everything else, a change of several names or one that
// deletes, goes by a journal (package intent): it is committed by one write of the organisation's control entry and
// then carried out, entry by entry, by whoever finds it so.
//
// # Readers
//
// Readers look at the control entry too, and see a committed journal as carried out, a purge as done. A list is one
// moment as far as changes of several names go: the control entry is the same before and after it, or the list is made
// again. Vault reads one folder at a time, so of single sets in several folders a list may have a
// later and not an earlier.
//
// # Deletions
//
// A deletion deletes the entry's latest version as Vault does, so that it can be brought back, also by Vault's
// own means. Vault lists such entries as before; the control entry therefore tells which names were deleted. That
// is a hint: whether a name is still deleted, its entry tells. Entries go for good after secret.KeepDeleted, in a
// sweep of the journal's.
package persecret

import (
	"context"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/flight"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
	"strongroom/internal/secret/vault/persecret/seen"
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
	conn    *conn.Conn
	places  *kv2.Places
	queue   *queue.Queue
	quota   secret.Quota
	cache   *cache.Cache[request, moment] // for use
	names   *cache.Cache[id.ID, listing]  // for use, to tell what "all" are
	log     *intent.Log
	alive   seen.Alive
	lists   *flight.Group[listing]
	deleted seen.Deleted
}

// New makes the store.
func New(c Config) *Store {
	s := &Store{conn: c.Conn, places: c.Places, quota: c.Quota, alive: seen.NewAlive(), deleted: seen.NewDeleted()}
	s.queue = queue.New(c.Conn, s.write)
	s.lists = flight.New(c.Conn.Bounded, s.list)
	s.cache, s.names = c.caches(s)
	s.log = intent.New(intent.Config{Conn: c.Conn, Places: c.Places, Queue: s.queue, Forget: s.forget,
		ForgetAll: s.forgetAll})
	return s
}

// Close waits for the writers.
func (s *Store) Close() {
	s.queue.Close()
	s.lists.Close()
	s.log.Close()
	s.cache.Clear()
	s.names.Clear()
}

// Cached are the counts of what Use gives out.
func (s *Store) Cached() cache.Counts { return s.cache.Counts() }

// Waiting is how many changes wait for the organisation's next write.
func (s *Store) Waiting(org id.ID) int { return s.queue.Len(org) }

// The conditions that this layout cannot keep.
var (
	errNoVersion = errs.New(errs.NotImplemented, "the organization's secrets have no version together where each is "+
		"an entry of Vault's; with --vault-layout org they have one")
	errOneOnly = errs.New(errs.NotImplemented, "the version of a secret can be a condition only of a change that "+
		"sets that secret and nothing else")
)

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if c.At != nil {
		return secret.Outcome{}, errNoVersion
	}
	if len(c.Versions) > 0 {
		if key, single := only(c); !single || len(c.Versions) != 1 {
			return secret.Outcome{}, errOneOnly
		} else if _, same := c.Versions[key]; !same {
			return secret.Outcome{}, errOneOnly
		}
	}
	return queue.Apply(ctx, s.queue, org, c)
}

// Purge removes the organisation's secrets with all their versions, and what the layout keeps beside them.
func (s *Store) Purge(ctx context.Context, org id.ID) error { return s.log.Purge(ctx, org) }

// Sweep removes for good what is due at a time.
func (s *Store) Sweep(ctx context.Context, org id.ID, now time.Time) error {
	return s.log.Sweep(ctx, org, now)
}

// SweepKnown sweeps those of the organisations that this process has come to know whose time it is.
func (s *Store) SweepKnown(ctx context.Context, now time.Time) { s.log.SweepKnown(ctx, now) }
