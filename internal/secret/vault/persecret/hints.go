package persecret

import (
	"sync"
	"time"

	"strongroom/internal/id"
)

// hints are the deleted secrets whose entries were found deleted, so that a list need not ask for each of some
// hundreds every time. A set by a server that has not heard of the deletion can come for a while after it; after that,
// all servers take the hint away with the set, and only what is done in Vault itself has to be looked for now and then.
type hints struct {
	mu    sync.Mutex
	found map[hint]foundDeleted
}

type hint struct {
	org     id.ID
	path    string
	version int64
}

type foundDeleted struct{ first, last time.Time }

const (
	// unheard is for how long a set may come that has not heard of a deletion: what was seen is relied on for as long
	// as fresh, and then an operation takes its time.
	unheard = 2 * time.Minute
	// again is how often a deleted entry is looked at after that.
	again = 15 * time.Second
)

// holds reports whether the entry need not be looked at.
func (h *hints) holds(n hint) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.found[n]
	return ok && time.Since(f.first) >= unheard && time.Since(f.last) < again
}

// learn notes that the entry was deleted when it was looked at, or that it was not.
func (h *hints) learn(n hint, deleted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !deleted {
		delete(h.found, n)
		return
	}
	if h.found == nil || len(h.found) >= 10*maxKnown {
		h.found = make(map[hint]foundDeleted)
	}
	f, ok := h.found[n]
	if !ok {
		f.first = time.Now()
	}
	f.last = time.Now()
	h.found[n] = f
}
