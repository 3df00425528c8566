package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
)

// hash is the SHA-256 of a token. Tokens are 256 random bits, so that a plain hash cannot be reversed, and looking one
// up by its hash takes a time that tells nothing of any token.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

func hashOf(token string) hash { return sha256.Sum256([]byte(token)) }

// entry is a token or session that is good, with the time at which it stops being so (zero: never).
type entry struct {
	principal *access.Principal
	until     time.Time
	session   *session
	used      *lastUse // nil for a session
}

// cache keeps the good tokens and sessions in memory, so that most requests are identified without the KV engine. What
// is not in it is looked up; what is no good is never put in, so that guessing cannot fill it.
//
// A change elsewhere must be seen at the next request. A reader therefore takes the generation before it reads the
// engine and hands it back with what it found: if anything was dropped in between, the result is not kept.
//
// A change that is seen here goes on to its end when its caller leaves, and drops what it touches also where it fails: a
// transaction whose context ended may be carried out all the same, at a moment that nobody waits for (see update).
type cache struct {
	mu      sync.RWMutex
	max     int
	entries map[hash]entry
	gen     atomic.Uint64
}

func newCache(size int) *cache { return &cache{max: size, entries: make(map[hash]entry)} }

func (c *cache) get(h hash) (entry, bool) {
	c.mu.RLock()
	e, ok := c.entries[h]
	c.mu.RUnlock()
	return e, ok
}

func (c *cache) generation() uint64 { return c.gen.Load() }

// add keeps e unless something was dropped since the generation was taken.
func (c *cache) add(h hash, e entry, gen uint64) {
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
func (c *cache) drop(h hash) {
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

// lastUse is when an authorization was last used, in Unix seconds.
type lastUse struct{ at atomic.Int64 }

// usage collects last uses in memory until they are written (see Maintain).
type usage struct {
	mu    sync.Mutex
	dirty map[id.ID]int64
}

func newUsage() *usage { return &usage{dirty: make(map[id.ID]int64)} }

// mark notes a use; within one second it costs one atomic load.
func (u *usage) mark(e entry, now time.Time) {
	at := now.Unix()
	if e.used == nil || e.used.at.Load() == at {
		return
	}
	e.used.at.Store(at)
	u.mu.Lock()
	u.dirty[e.principal.AuthorizationID] = at
	u.mu.Unlock()
}

// take hands over what is to be written.
func (u *usage) take() map[id.ID]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.dirty
	u.dirty = make(map[id.ID]int64)
	return d
}

// recent is a use that is not written yet, or 0.
func (u *usage) recent(a id.ID) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dirty[a]
}
