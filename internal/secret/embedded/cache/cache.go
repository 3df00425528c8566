// Package cache keeps in memory what was read of organisations' secrets: the list of the names, beside it what is known
// of their versions and all their values in one sealed piece, and the versions of single secrets. Each is good for one
// revision of the organisation's head; for another, nothing is known.
package cache

import (
	"strings"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/secret/embedded/content"
)

// MaxLists bounds the lists, all together, in bytes.
const MaxLists = 32 << 20

// Cache is what is kept of all organisations. Nobody may change a list in it. Make it with New; it is safe for use by
// many goroutines.
type Cache struct {
	mu    sync.RWMutex
	lists *bounded.Map[id.ID, list]
	ones  *bounded.Map[id.ID, ones]
	box   content.Box
}

// maxOnes bounds what is known of single secrets, all together, in bytes.
const maxOnes = 4 << 20

// ones has what is known of the versions of secrets that were asked for by name, where the list is not at hand.
type ones struct {
	rev   int64
	known map[string]Version
	size  int
}

type list struct {
	rev   int64
	keys  []string
	known []Version // of each of the names; nil where it was not read yet
	// sealed has the value of each of the names, in one piece, as the keys of the term in the names' form are; nil
	// where they were not read yet.
	sealed []byte
	of     SealedOf
}

// New makes one whose lists take so many bytes, all together.
func New(limit int) *Cache {
	return &Cache{lists: bounded.New[id.ID, list](limit, nil), ones: bounded.New[id.ID, ones](maxOnes, nil),
		box: content.NewBox()}
}

// Names gives the list of that very revision.
func (c *Cache) Names(org id.ID, rev int64) ([]string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	l, ok := c.lists.Get(org)
	return l.keys, ok && l.rev == rev
}

// Versions gives what is known of the secrets' versions at that very revision, in the order of the list.
func (c *Cache) Versions(org id.ID, rev int64) (keys []string, known []Version) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev {
		return l.keys, l.known
	}
	return nil, nil
}

// PutVersions keeps what is known of the versions beside the list of that very revision, should it be there.
func (c *Cache) PutVersions(org id.ID, rev int64, known []Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev && len(l.keys) == len(known) {
		l.known = known
		c.lists.Put(org, l, l.size())
	}
}

// Version gives what is known of one secret's version at that very revision.
func (c *Cache) Version(org id.ID, rev int64, key string) (Version, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if of, ok := c.ones.Get(org); ok && of.rev == rev {
		v, ok := of.known[key]
		return v, ok
	}
	return Version{}, false
}

// PutVersion keeps what is known of one secret's version, unless there is something newer of the organisation.
func (c *Cache) PutVersion(org id.ID, rev int64, key string, v Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, ok := c.ones.Get(org)
	switch {
	case ok && of.rev > rev:
		return
	case !ok || of.rev < rev:
		of = ones{rev: rev, known: make(map[string]Version, 1), size: 256}
	}
	if _, ok := of.known[key]; ok {
		return
	}
	key = strings.Clone(key) // it may be a part of a whole request
	of.known[key] = v
	of.size += len(key) + 64
	c.ones.Put(org, of, of.size)
}

func (l list) size() int {
	size := 160 + 24*len(l.known) + cap(l.sealed) // the entry itself, about
	for _, k := range l.keys {
		size += len(k) + 16 // and a string's header
	}
	return size
}

// Put keeps the list, unless a newer one is there. The names in it are put next to each other in one piece of memory:
// as parts of the records' keys, which are several times as long, they would keep all of those.
func (c *Cache) Put(org id.ID, rev int64, keys []string) {
	pack(keys)
	now := list{rev: rev, keys: keys}
	size := now.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); !ok || l.rev < rev {
		c.lists.Put(org, now, size)
	}
}

// Drop forgets the organisation.
func (c *Cache) Drop(org id.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists.Drop(org)
	c.ones.Drop(org)
}

func pack(keys []string) {
	all := strings.Join(keys, "")
	for i, k := range keys {
		keys[i], all = all[:len(k)], all[len(k):]
	}
}
