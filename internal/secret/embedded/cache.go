package embedded

import (
	"strings"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
)

// maxCached bounds the cached lists, all together, in bytes.
const maxCached = 32 << 20

// cache keeps lists of names, each with the revision of the head it belongs to. Nobody may change a list in it.
type cache struct {
	mu    sync.RWMutex
	lists *bounded.Map[id.ID, cached]
}

type cached struct {
	rev  int64
	keys []string
}

func newCache(limit int) cache { return cache{lists: bounded.New[id.ID, cached](limit, nil)} }

// get gives the list of that very revision.
func (c *cache) get(org id.ID, rev int64) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l, ok := c.lists.Get(org)
	return l.keys, ok && l.rev == rev
}

// put keeps the list unless a newer one is there.
func (c *cache) put(org id.ID, rev int64, keys []string) {
	size := 128 // the entry itself, about
	for _, k := range keys {
		size += len(k) + 16 // and a string's header
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); !ok || l.rev < rev {
		c.lists.Put(org, cached{rev, keys}, size)
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
