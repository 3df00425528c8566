package cache

import (
	"slices"
	"sync"

	"strongroom/internal/bounded"
	"strongroom/internal/id"
)

// Which is which of an organisation's names a list has.
type Which int

// The lists.
const (
	Alive   Which = iota // those of secrets that are there
	Deleted              // those of deleted ones that can be brought back
	lists
)

// MaxFollowed bounds each kind of the lists of a Followed, all together, in bytes.
const MaxFollowed = 16 << 20

// MostTouched is of how many names a list does not know, at most, whether it still has them. After more changes than
// that it is read anew.
const MostTouched = 1024

// Followed keeps sorted lists of names, and has them follow the changes that are made through this store: a page of a
// list costs what it has, and not the reading and opening of all names. Make it with NewFollowed; it is safe for use by
// many goroutines.
type Followed struct {
	mu  sync.Mutex
	all [lists]*bounded.Map[id.ID, followed]
}

// followed is a list as it was at an earlier revision, and the names that changes up to rev may have put on it or
// taken from it.
type followed struct {
	rev     int64
	keys    []string
	touched []string
	size    int
}

// NewFollowed makes one whose lists of each kind take so many bytes, all together.
func NewFollowed(limit int) *Followed {
	f := &Followed{}
	for i := range f.all {
		f.all[i] = bounded.New[id.ID, followed](limit, nil)
	}
	return f
}

// Names gives the list of that very revision, which nobody may change. Of what is not kept, read gives all names,
// sorted; of names that changes have touched, has tells whether they are on the list. What these find is right if the
// head is of that revision after it, too.
func (f *Followed) Names(which Which, org id.ID, rev int64, read func() ([]string, error),
	has func(name string) (bool, error)) ([]string, error) {
	f.mu.Lock()
	l, ok := f.all[which].Get(org)
	f.mu.Unlock()
	switch {
	case ok && l.rev == rev && len(l.touched) == 0:
		return l.keys, nil
	case ok && l.rev == rev:
		keys, err := settled(l, has)
		if err != nil {
			return nil, err
		}
		l = followed{rev: rev, keys: keys, size: l.size + (len(keys)-len(l.keys))*headerSize}
		for _, name := range l.touched {
			l.size += len(name)
		}
	default:
		keys, err := read()
		if err != nil {
			return nil, err
		}
		l = followed{rev: rev, keys: keys, size: headerSize * (len(keys) + 10)}
		for _, name := range keys {
			l.size += len(name)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.all[which].Get(org); !ok || last.rev <= rev {
		f.all[which].Put(org, l, l.size)
	}
	return l.keys, nil
}

const headerSize = 16 // of a string

// settled is the list with the names that were touched where they belong.
func settled(l followed, has func(name string) (bool, error)) ([]string, error) {
	var come []string
	gone := make(map[string]bool)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(l.touched))) {
		there, err := has(name)
		if err != nil {
			return nil, err
		}
		switch _, was := slices.BinarySearch(l.keys, name); {
		case there && !was:
			come = append(come, name)
		case was && !there:
			gone[name] = true
		}
	}
	if len(come)+len(gone) == 0 {
		return l.keys, nil
	}
	keys := make([]string, 0, len(l.keys)+len(come)-len(gone))
	for _, name := range l.keys {
		for len(come) > 0 && come[0] < name {
			keys, come = append(keys, come[0]), come[1:]
		}
		if !gone[name] {
			keys = append(keys, name)
		}
	}
	return append(keys, come...), nil
}

// Changed tells of a change that has led from one revision to another, and of all names that it may have put on a list
// or taken from it. A revision of 0 is not known.
func (f *Followed) Changed(org id.ID, from, to int64, touched []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.all {
		l, ok := of.Get(org)
		if !ok || l.rev != from {
			continue
		}
		if to == 0 || len(l.touched)+len(touched) > MostTouched {
			of.Drop(org)
			continue
		}
		size := l.size
		for _, name := range touched {
			size += headerSize + len(name)
		}
		// Whoever is settling the list has the names as they were.
		of.Put(org, followed{rev: to, keys: l.keys, touched: slices.Concat(l.touched, touched), size: size}, size)
	}
}

// Drop forgets the organisation.
func (f *Followed) Drop(org id.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.all {
		of.Drop(org)
	}
}
