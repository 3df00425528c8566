// Package seen keeps what was seen of single entries a moment ago, so that not every change and not every list has to
// ask Vault for each: those that are alive, and those that are deleted. It is for hints alone: a write's check-and-set,
// or the next look at an entry, tells what is so.
package seen

import (
	"hash/maphash"
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
)

// maxKnown bounds how many entries are kept.
const maxKnown = 10_000

// Name is one secret of one organisation.
type Name struct {
	Org id.ID
	Key string
}

// Alive keeps the entries that were seen alive a moment ago, so that a set of one need not read it first.
type Alive struct {
	mu    sync.Mutex
	known *bounded.Map[Name, entry]
}

// NewAlive makes one that knows of none.
func NewAlive() Alive { return Alive{known: bounded.New[Name, entry](maxKnown, nil)} }

type entry struct {
	version kv2.Version
	sum     uint64 // of the value, under a seed of this process
	at      time.Time
}

var seed = maphash.MakeSeed()

// fresh is how long what was seen is relied on. A deleted entry stays for longer before it is removed
// (intent/sweep.go), so a set that relies on it never writes to an entry that is being removed.
const fresh = 30 * time.Second

// Of gives the entry's version for a set of the value. Where that seems to be the value it has, the
// entry must be looked at.
func (v *Alive) Of(n Name, value string) (kv2.Version, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.known.Get(n)
	return k.version, ok && time.Since(k.at) < fresh && k.sum != maphash.String(seed, value)
}

// Learn notes that the entry was seen with this version and value at a time.
func (v *Alive) Learn(n Name, version kv2.Version, value string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.Put(n, entry{version, maphash.String(seed, value), at}, 1)
}

// Forget forgets what is known of an entry.
func (v *Alive) Forget(n Name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.Drop(n)
}

// ForgetAll forgets what is known of the organisation's entries.
func (v *Alive) ForgetAll(org id.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range v.known.Keys() {
		if n.Org == org {
			v.known.Drop(n)
		}
	}
}
