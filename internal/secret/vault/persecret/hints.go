package persecret

import (
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
)

// hints keeps the deleted secrets whose entries were found deleted, so that a list need not ask for each of some
// hundreds every time. A set by a server that has not heard of the deletion can come for a while after it; after that,
// all servers take the hint away with the set, and only what is done in Vault itself has to be looked for now and then.
type hints struct {
	mu    sync.Mutex
	found *bounded.Map[hint, foundDeleted]
}

func newHints() hints {
	return hints{found: bounded.New[hint, foundDeleted](10*maxKnown, nil)}
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
	f, ok := h.found.Get(n)
	return ok && time.Since(f.first) >= unheard && time.Since(f.last) < again
}

// learn notes that the entry was deleted when it was looked at, or that it was not.
func (h *hints) learn(n hint, deleted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !deleted {
		h.found.Drop(n)
		return
	}
	f, ok := h.found.Get(n)
	if !ok {
		f.first = time.Now()
	}
	f.last = time.Now()
	h.found.Put(n, f, 1)
}
