package embedded

import (
	"strings"
	"sync"

	"strongroom/internal/id"
)

// maxCached bounds the cached lists, all together, in bytes.
const maxCached = 32 << 20

// cache keeps lists of names, each with the revision of the head it belongs to. Nobody may change a list in it.
type cache struct {
	max int

	mu    sync.RWMutex
	size  int
	lists map[id.ID]cached
}

type cached struct {
	rev  int64
	keys []string
	size int
}

func newCache(max int) cache { return cache{max: max, lists: map[id.ID]cached{}} }

// get gives the list of that very revision.
func (c *cache) get(org id.ID, rev int64) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l, ok := c.lists[org]
	return l.keys, ok && l.rev == rev
}

// put keeps the list unless a newer one is there or it takes more than all may.
func (c *cache) put(org id.ID, rev int64, keys []string) {
	size := 128 // the entry itself, about
	for _, k := range keys {
		size += len(k) + 16 // and a string's header
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lists[org].rev >= rev {
		return
	}
	c.remove(org)
	if size > c.max {
		return
	}
	for victim := range c.lists { // any: map order is as good as random
		if c.size+size <= c.max {
			break
		}
		c.remove(victim)
	}
	c.lists[org] = cached{rev, keys, size}
	c.size += size
}

// packed puts the names next to each other in one piece of memory. As parts of the records' keys, which are several times
// as long, they would keep all of those.
func packed(keys []string) []string {
	all := strings.Join(keys, "")
	for i, k := range keys {
		keys[i], all = all[:len(k)], all[len(k):]
	}
	return keys
}

func (c *cache) drop(org id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(org)
}

func (c *cache) remove(org id.ID) {
	c.size -= c.lists[org].size
	delete(c.lists, org)
}
