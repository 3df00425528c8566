package inflight

import (
	"context"
	"sync"
)

// Sizes remembers how large the answers with an organisation's values were, so that the next one is counted before it
// is made. What of them a caller may have is told by a scope: who may have little is no measure for others. Make it
// with NewSizes.
type Sizes struct {
	unknown chan struct{} // holds one for each request that reads values whose size is not known
	mu      sync.Mutex
	size    map[string]int64 // by scope
}

// maxSizes bounds what is remembered. firstSize is what an answer counts for whose size is not known, of which
// maxUnknown are made at a time, and namedSize is for each value of one that names them. A part of up to maxPart is
// counted for as much as it may be. valuesCost is how much memory a byte of a value takes: sealed, open, and written.
const (
	maxSizes   = 10_000
	maxUnknown = 2
	firstSize  = 1 << 20
	namedSize  = 16 << 10
	maxPart    = 8 << 20
	valuesCost = 3
)

// NewSizes knows none yet.
func NewSizes() *Sizes { return &Sizes{unknown: make(chan struct{}, maxUnknown)} }

// Reading is Hold for what is read of all of an organisation in the work of a request, whose share is in the context.
func (s *Sizes) Reading(ctx context.Context, scope string, read func() (size int64, err error)) error {
	return s.Hold(ctx, func(n int64) error { return More(ctx, n) }, scope, 0, read)
}

// ReadingPart is Reading for a part of what the scope tells of, which is about so many bytes at most. It counts for
// that until it has been read, or for what all of it was last time where that is less. Where it may be large and nobody
// has read all, it is read as all is. Read says whether the part was all: no other part is a measure, since whoever
// asks chooses how small it is.
func (s *Sizes) ReadingPart(ctx context.Context, scope string, most int64,
	read func() (size int64, whole bool, err error)) error {
	held := most * valuesCost
	all, known := s.last(scope, 0)
	if !known && held > maxPart {
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		all, known = s.last(scope, 0)
		held = min(held, all)
	}
	if known {
		held = min(held, all)
	}
	if err := More(ctx, held); err != nil {
		return err
	}
	size, whole, err := read()
	if err != nil {
		return err
	}
	size *= valuesCost
	if whole || known && size > all {
		s.note(scope, 0, size)
	}
	return More(ctx, size-held)
}

// enter waits until few others read what nobody knows the size of.
func (s *Sizes) enter(ctx context.Context) error {
	select {
	case s.unknown <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sizes) leave() { <-s.unknown }

// Spare gives back what a request held for so many bytes that it has read and does not keep.
func (s *Sizes) Spare(ctx context.Context, size int64) { _ = More(ctx, -size*valuesCost) }

// Hold reads values into memory that the request holds, of which named are named, 0 for all. How much they are is known
// when they have been read: until then they count for what they were last time. Those whose size nobody knows yet are
// read a few at a time. Hold is the request's, for more bytes; read gives the size of what it has read, or one below 0
// where it has read none.
func (s *Sizes) Hold(ctx context.Context, hold func(int64) error, scope string, named int,
	read func() (size int64, err error)) error {
	held, known := s.last(scope, named)
	if !known {
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		held, _ = s.last(scope, named) // somebody has read them meanwhile
	}
	if err := hold(held); err != nil {
		return err
	}
	size, err := read()
	if err != nil || size < 0 {
		return err
	}
	size *= valuesCost
	s.note(scope, named, size)
	if size > held {
		return hold(size - held)
	}
	return nil
}

func (s *Sizes) last(scope string, named int) (size int64, known bool) {
	if named > 0 {
		return int64(named) * namedSize, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.size[scope]; ok {
		return n, true
	}
	return firstSize, false
}

func (s *Sizes) note(scope string, named int, size int64) {
	if named > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == nil || len(s.size) >= maxSizes {
		s.size = make(map[string]int64)
	}
	s.size[scope] = size
}
