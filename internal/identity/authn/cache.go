package authn

import (
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

// entry is a token or session that is good, with the time at which it stops being so (zero: never).
type entry struct {
	principal *access.Principal
	until     time.Time
	session   *identity.Session
	used      *lastUse // nil for a session
	parents   []id.ID  // the authorizations that a token hangs on
}

// cache keeps the good tokens and sessions in memory, so that most requests are identified without the KV engine. What
// is not in it is looked up; what is no good is never put in, so that guessing cannot fill it.
//
// A change elsewhere must be seen at the next request. A reader therefore takes the generation before it reads the
// engine and hands it back with what it found: if anything was dropped in between, the result is not kept.
//
// A change that is seen here goes on to its end when its caller leaves, and drops what it touches also where it
// fails (see Service.Change).
type cache struct {
	mu      sync.RWMutex
	entries *bounded.Map[identity.Hash, entry]
	tokens  map[id.ID]identity.Hash // by authorization, those in entries
	// children are the tokens in entries that hang on an authorization.
	children map[id.ID]map[identity.Hash]bool
	// sessions are the sessions in entries of a user.
	sessions map[id.ID]map[identity.Hash]bool
	gen      atomic.Uint64

	following *following // nil where no other server changes the data
}

func newCache(size int, f *following) *cache {
	c := &cache{tokens: make(map[id.ID]identity.Hash), children: make(map[id.ID]map[identity.Hash]bool),
		sessions: make(map[id.ID]map[identity.Hash]bool), following: f}
	c.entries = bounded.New(size, c.gone)
	return c
}

// get gives what is known, and nothing while it may be out of date.
func (c *cache) get(h identity.Hash) (entry, bool) {
	if !c.following.fresh() {
		return entry{}, false
	}
	c.mu.RLock()
	e, ok := c.entries.Get(h)
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
	c.entries.Put(h, e, 1)
	if a := e.principal.AuthorizationID; a.Valid() {
		c.tokens[a] = h
	}
	for _, p := range e.parents {
		put(c.children, p, h)
	}
	if e.session != nil {
		put(c.sessions, e.session.UserID, h)
	}
}

func put(of map[id.ID]map[identity.Hash]bool, which id.ID, h identity.Hash) {
	if of[which] == nil {
		of[which] = make(map[identity.Hash]bool)
	}
	of[which][h] = true
}

func take(of map[id.ID]map[identity.Hash]bool, which id.ID, h identity.Hash) {
	if delete(of[which], h); len(of[which]) == 0 {
		delete(of, which)
	}
}

// gone forgets where an entry is found that is kept no more. The caller holds c.mu.
func (c *cache) gone(h identity.Hash, e entry) {
	delete(c.tokens, e.principal.AuthorizationID)
	for _, p := range e.parents {
		take(c.children, p, h)
	}
	if e.session != nil {
		take(c.sessions, e.session.UserID, h)
	}
}

// dropAuthorization forgets the token of an authorization, and those that hang on it.
func (c *cache) dropAuthorization(a id.ID) {
	c.mu.Lock()
	c.gen.Add(1)
	if h, ok := c.tokens[a]; ok {
		c.entries.Drop(h)
	}
	for h := range c.children[a] {
		c.entries.Drop(h)
	}
	c.mu.Unlock()
}

// drop forgets one token or session.
func (c *cache) drop(h identity.Hash) {
	c.mu.Lock()
	c.gen.Add(1)
	c.entries.Drop(h)
	c.mu.Unlock()
}

// dropSessions forgets the sessions of a user.
func (c *cache) dropSessions(user id.ID) {
	c.mu.Lock()
	c.gen.Add(1)
	for h := range c.sessions[user] {
		c.entries.Drop(h)
	}
	c.mu.Unlock()
}

// flush forgets everything: for changes that touch what many tokens or sessions may do.
func (c *cache) flush() {
	c.mu.Lock()
	c.gen.Add(1)
	c.entries.Clear()
	c.mu.Unlock()
}
