package seen

import (
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
)

// Deleted keeps the deleted secrets whose entries were found deleted, so that a list need not ask for each of some
// hundreds every time. A set by a server that has not heard of the deletion can come for a while after it; after that,
// all servers take the hint away with the set, and only what is done in Vault itself has to be looked for now and then.
type Deleted struct {
	mu    sync.Mutex
	found *bounded.Map[Deletion, foundDeleted]
}

// NewDeleted makes one that knows of none.
func NewDeleted() Deleted {
	return Deleted{found: bounded.New[Deletion, foundDeleted](10*maxKnown, nil)}
}

// Deletion is a version of an entry that was deleted.
type Deletion struct {
	Org     id.ID
	Path    string
	Version int64
}

type foundDeleted struct{ first, last time.Time }

const (
	// unheard is for how long a set may come that has not heard of a deletion: what was seen is relied on for as long
	// as fresh, and then an operation takes its time.
	unheard = 2 * time.Minute
	// again is how often a deleted entry is looked at after that.
	again = 15 * time.Second
)

// Holds reports whether the entry need not be looked at.
func (d *Deleted) Holds(n Deletion) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.found.Get(n)
	return ok && time.Since(f.first) >= unheard && time.Since(f.last) < again
}

// Learn notes that the entry was deleted when it was looked at, or that it was not.
func (d *Deleted) Learn(n Deletion, deleted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !deleted {
		d.found.Drop(n)
		return
	}
	f, ok := d.found.Get(n)
	if !ok {
		f.first = time.Now()
	}
	f.last = time.Now()
	d.found.Put(n, f, 1)
}
