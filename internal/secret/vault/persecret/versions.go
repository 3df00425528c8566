package persecret

import (
	"hash/maphash"
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
)

// maxKnown bounds how much is kept of what was seen.
const maxKnown = 10_000

// versions keeps the entries that were seen alive a moment ago, so that a set of one need not read it first.
type versions struct {
	mu    sync.Mutex
	known *bounded.Map[name, seen]
}

func newVersions() versions {
	return versions{known: bounded.New[name, seen](maxKnown, nil)}
}

type seen struct {
	version kv2.Version
	sum     uint64 // of the value, under a seed of this process
	at      time.Time
}

var seed = maphash.MakeSeed()

// fresh is how long what was seen is relied on. A deleted entry stays for longer before it is removed
// (intent/sweep.go), so a set that relies on it never writes to an entry that is being removed.
const fresh = 30 * time.Second

// of gives the entry's version for a set of the value. Where that seems to be the value it has, the
// entry must be looked at.
func (v *versions) of(n name, value string) (kv2.Version, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.known.Get(n)
	return k.version, ok && time.Since(k.at) < fresh && k.sum != maphash.String(seed, value)
}

func (v *versions) learn(n name, version kv2.Version, value string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.Put(n, seen{version, maphash.String(seed, value), at}, 1)
}

func (v *versions) forget(n name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known.Drop(n)
}

func (v *versions) forgetAll(org id.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range v.known.Keys() {
		if n.org == org {
			v.known.Drop(n)
		}
	}
}
