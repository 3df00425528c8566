package embedded

import (
	"strings"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/secret/embedded/content"
)

// maxCached bounds the cached lists, all together, in bytes.
const maxCached = 32 << 20

// cache keeps lists of names, each with the revision of the head it belongs to, and what is known of the secrets'
// versions, where that was read. Nobody may change a list in it.
type cache struct {
	mu    sync.RWMutex
	lists *bounded.Map[id.ID, cached]
	box   content.Box
}

type cached struct {
	rev   int64
	keys  []string
	known []presentVersion // of each of the names; nil where it was not read yet
	// sealed has the value of each of the names, in one piece, as the keys of the term in the names' form are; nil where
	// they were not read yet.
	sealed []byte
	of     sealedOf
}

// presentVersion is what the metadata tell of a secret's present version. It costs as much to open and to read as the value.
type presentVersion struct {
	n                int
	created, updated int64 // Unix ms
}

func newCache(limit int) cache {
	return cache{lists: bounded.New[id.ID, cached](limit, nil), box: content.NewBox()}
}

// get gives the list of that very revision.
func (c *cache) get(org id.ID, rev int64) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l, ok := c.lists.Get(org)
	return l.keys, ok && l.rev == rev
}

// versions gives what is known of the secrets' versions at that very revision, in the order of the list.
func (c *cache) versions(org id.ID, rev int64) (keys []string, known []presentVersion) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev {
		return l.keys, l.known
	}
	return nil, nil
}

// putVersions keeps what is known of the versions beside the list of that very revision, should it be there.
func (c *cache) putVersions(org id.ID, rev int64, known []presentVersion) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev && len(l.keys) == len(known) {
		l.known = known
		c.lists.Put(org, l, l.size())
	}
}

func (l cached) size() int {
	size := 160 + 24*len(l.known) + cap(l.sealed) // the entry itself, about
	for _, k := range l.keys {
		size += len(k) + 16 // and a string's header
	}
	return size
}

// put keeps the list unless a newer one is there.
func (c *cache) put(org id.ID, rev int64, keys []string) {
	now := cached{rev: rev, keys: keys}
	size := now.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); !ok || l.rev < rev {
		c.lists.Put(org, now, size)
	}
}

func (c *cache) drop(org id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists.Drop(org)
}

// packed puts the names next to each other in one piece of memory. As parts of the records' keys, which are several
// times as long, they would keep all of those.
func packed(keys []string) []string {
	all := strings.Join(keys, "")
	for i, k := range keys {
		keys[i], all = all[:len(k)], all[len(k):]
	}
	return keys
}
