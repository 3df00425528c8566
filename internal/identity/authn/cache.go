package authn

import (
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/identity"
)

// entry is a token or session that is good, with the time at which it stops being so (zero: never).
type entry struct {
	principal *access.Principal
	until     time.Time
	session   *identity.Session
	used      *lastUse // nil for a session
}

// cache keeps the good tokens and sessions in memory, so that most requests are identified without the KV engine. What
// is not in it is looked up; what is no good is never put in, so that guessing cannot fill it.
//
// A change elsewhere must be seen at the next request. A reader therefore takes the generation before it reads the
// engine and hands it back with what it found: if anything was dropped in between, the result is not kept.
//
// A change that is seen here goes on to its end when its caller leaves, and drops what it touches also where it fails (see
// Service.Change).
type cache struct {
	mu      sync.RWMutex
	max     int
	entries map[identity.Hash]entry
	gen     atomic.Uint64
}

func newCache(size int) *cache { return &cache{max: size, entries: make(map[identity.Hash]entry)} }

func (c *cache) get(h identity.Hash) (entry, bool) {
	c.mu.RLock()
	e, ok := c.entries[h]
	c.mu.RUnlock()
	return e, ok
}

func (c *cache) generation() uint64 { return c.gen.Load() }

// add keeps e unless something was dropped since the generation was taken.
func (c *cache) add(h identity.Hash, e entry, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen.Load() != gen {
		return
	}
	if len(c.entries) >= c.max {
		for victim := range c.entries { // any one: the order of a map is random enough
			delete(c.entries, victim)
			break
		}
	}
	c.entries[h] = e
}

// drop forgets one token or session.
func (c *cache) drop(h identity.Hash) {
	c.mu.Lock()
	c.gen.Add(1)
	delete(c.entries, h)
	c.mu.Unlock()
}

// flush forgets everything: for changes that touch what many tokens or sessions may do.
func (c *cache) flush() {
	c.mu.Lock()
	c.gen.Add(1)
	clear(c.entries)
	c.mu.Unlock()
}
