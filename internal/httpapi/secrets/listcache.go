package secrets

import (
	"slices"
	"sync"

	"strongroom/internal/id"
)

// maxListCache bounds the answers kept, in bytes.
const maxListCache = 16 << 20

// listCache keeps the list of an organisation's secrets as it was last answered. To find that the names are the same is
// much less work than to encode them: a store that keeps its list gives the same strings again, which compare at once.
type listCache struct {
	mu    sync.RWMutex
	size  int
	lists map[id.ID]listAnswer
}

type listAnswer struct {
	keys []string
	body []byte
}

// answer gives the answer with those names.
func (c *listCache) answer(org id.ID, keys []string) []byte {
	c.mu.RLock()
	kept := c.lists[org]
	c.mu.RUnlock()
	if kept.body != nil && sameKeys(kept.keys, keys) {
		return kept.body
	}
	body := appendKeys(org, keys)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(org)
	if len(body) > maxListCache {
		return body
	}
	for other := range c.lists { // any: map order is as good as random
		if c.size+len(body) <= maxListCache {
			break
		}
		c.remove(other)
	}
	if c.lists == nil {
		c.lists = make(map[id.ID]listAnswer)
	}
	c.lists[org] = listAnswer{keys, body}
	c.size += len(body)
	return body
}

// sameKeys compares two lists. Most of the time they are one and the same.
func sameKeys(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

func (c *listCache) remove(org id.ID) {
	c.size -= len(c.lists[org].body)
	delete(c.lists, org)
}
