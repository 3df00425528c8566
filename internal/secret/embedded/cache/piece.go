package cache

import (
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
)

// All values of an organisation, when they were read, are kept beside the list of their names: as one piece, sealed
// under a key that lives in memory alone, and good for one revision of the head under one term of the keyring. To open
// one piece of a thousand values takes a tenth of what it takes to find and open each. It gives no more than the
// records do: who may not read one of the values is given it from neither.

// SealedOf is what values were read under: when another term or another form of the names comes, or the keys are gone,
// the records count.
type SealedOf struct {
	Term  uint32
	Names keyring.Names
}

// PutValues puts the values of all the names beside the list of that very revision.
func (c *Cache) PutValues(org id.ID, rev int64, of SealedOf, all map[string]secret.Secret) {
	keys, ok := c.Names(org, rev)
	if !ok || len(keys) != len(all) {
		return
	}
	sealed := c.box.Seal(content.PieceOf{Org: org, Rev: rev, Term: of.Term}, keys, all)
	if sealed == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev && len(l.keys) == len(keys) {
		l.sealed, l.of = sealed, of
		c.lists.Put(org, l, l.size())
	}
}

// Values gives what is kept of that very revision: the names and their secrets, with what is known of the versions,
// those that are wanted. ok is false where there is nothing.
func (c *Cache) Values(org id.ID, rev int64, of SealedOf, q secret.Query) (keys []string,
	all map[string]secret.Secret, ok bool) {
	c.mu.RLock()
	l, ok := c.lists.Get(org)
	c.mu.RUnlock()
	if !ok || l.rev != rev || l.sealed == nil || l.of != of || of.Term == 0 || q.Versions && l.known == nil {
		return nil, nil, false
	}
	keys = l.keys
	if q.Want != nil {
		keys = make([]string, 0, len(l.keys))
	}
	all = make(map[string]secret.Secret, len(l.keys))
	bound := content.PieceOf{Org: org, Rev: rev, Term: of.Term}
	opened := c.box.Open(bound, l.sealed, l.keys, func(i int, v secret.Value, at time.Time) bool {
		key := l.keys[i]
		if q.Want != nil {
			if !q.Want(key) {
				return false
			}
			keys = append(keys, key)
		}
		got := secret.Secret{Value: v, Updated: at}
		if q.Versions {
			got = l.known[i].With(v)
		}
		all[key] = got
		return true
	})
	if !opened {
		return nil, nil, false // the records tell
	}
	return keys, all, true
}
