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
	ones  *bounded.Map[id.ID, ones]
	box   content.Box
}

// maxOnes bounds what is known of single secrets, all together, in bytes.
const maxOnes = 4 << 20

// ones has what is known of the versions of secrets that were asked for by name, where the list is not at hand.
type ones struct {
	rev   int64
	known map[string]presentVersion
	size  int
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

// presentVersion is what the metadata tell of a secret's present version. It costs more to open and to read than the
// value.
type presentVersion struct {
	n                int
	created, updated int64 // Unix ms
}

func newCache(limit int) cache {
	return cache{lists: bounded.New[id.ID, cached](limit, nil), ones: bounded.New[id.ID, ones](maxOnes, nil),
		box: content.NewBox()}
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

// version gives what is known of one secret's version at that very revision.
func (c *cache) version(org id.ID, rev int64, key string) (presentVersion, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if of, ok := c.ones.Get(org); ok && of.rev == rev {
		v, ok := of.known[key]
		return v, ok
	}
	return presentVersion{}, false
}

// putVersion keeps what is known of one secret's version, unless there is something newer of the organisation.
func (c *cache) putVersion(org id.ID, rev int64, key string, v presentVersion) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, ok := c.ones.Get(org)
	switch {
	case ok && of.rev > rev:
		return
	case !ok || of.rev < rev:
		of = ones{rev: rev, known: make(map[string]presentVersion, 1), size: 256}
	}
	if _, ok := of.known[key]; ok {
		return
	}
	key = strings.Clone(key) // it may be a part of a whole request
	of.known[key] = v
	of.size += len(key) + 64
	c.ones.Put(org, of, of.size)
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
	c.ones.Drop(org)
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
