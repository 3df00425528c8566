package persecret

import (
	"hash/maphash"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
)

// maxKnown bounds how much is kept of what was seen.
const maxKnown = 10_000

// versions are the entries that were seen alive a moment ago, so that a set of one need not read it first.
type versions struct {
	mu    sync.Mutex
	known map[name]seen
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
	k, ok := v.known[n]
	return k.version, ok && time.Since(k.at) < fresh && k.sum != maphash.String(seed, value)
}

func (v *versions) learn(n name, version kv2.Version, value string, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil || len(v.known) >= maxKnown {
		v.known = make(map[name]seen)
	}
	v.known[n] = seen{version, maphash.String(seed, value), at}
}

func (v *versions) forget(n name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.known, n)
}

func (v *versions) forgetAll(org id.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n := range v.known {
		if n.org == org {
			delete(v.known, n)
		}
	}
}
