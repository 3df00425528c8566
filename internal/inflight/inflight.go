// Package inflight bounds the memory of requests under way: what is read of their bodies and held of their answers.
package inflight

import (
	"sync"
	"time"

	"strongroom/internal/errs"
)

const (
	// retryAfter is when a request that found no room may try again.
	retryAfter = time.Second
	// turnKept is how long the turn to hold very much is kept for the caller who was refused it first.
	turnKept = 5 * time.Second
	// strangersPart is which part of the bytes all who are not known may hold together.
	strangersPart = 4
)

// Budget is the bytes that all requests together may hold. A caller may hold as many as it leaves free: half of them
// where nobody else holds any, a third beside one who holds as much, and nobody can take the last. All strangers
// together have a quarter, which they share in the same way: they take nothing from those who are known.
//
// What is larger than half goes alone: one request at a time, of a caller who holds nothing else, where others hold no
// more than half. It counts as half for the others, who have the other half as before, so that the most that is held is
// that one beside half of the bytes. Who was refused this turn first has it next. What is larger than a quarter goes
// alone, too, where others hold no more than that and it would not fit beside them.
//
// A nil Budget has no bound. It is safe for use by many goroutines.
type Budget struct {
	size    int64
	mu      sync.Mutex
	used    int64 // without what goes alone
	refused uint64
	by      map[caller]int64

	strangers int64 // of used

	large  int64 // what goes alone, 0 where nothing does
	next   caller
	kept   bool      // the turn is next's, who was refused it
	keptTo time.Time // until then, where nothing goes alone
}

// caller is who is asking: a user, or the network of somebody who is not known.
type caller struct {
	name     string
	stranger bool
}

// New makes a budget of so many bytes.
func New(size int64) *Budget { return &Budget{size: size, by: make(map[caller]int64)} }

// Used is how many bytes are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used + b.large
}

// Size is how many bytes may be held.
func (b *Budget) Size() int64 { return b.size }

// Refused counts what found no room.
func (b *Budget) Refused() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// take lets a request hold n more than it holds, or gives errs.Unavailable.
func (b *Budget) take(s *Share, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.alone:
		b.large += n
	case b.fits(s.caller, n):
		b.add(s.caller, n)
	case b.mayGoAlone(s, n):
		b.add(s.caller, -s.held)
		b.large, s.alone, b.kept = s.held+n, true, false
	default:
		b.refused++
		e := errs.New(errs.Unavailable, "too much is under way just now; try again in a moment")
		e.RetryAfter = retryAfter
		return e
	}
	return nil
}

// fits reports whether the caller leaves as much free as it then holds.
func (b *Budget) fits(c caller, n int64) bool {
	room, own := b.size, b.by[c]+n
	if b.large > 0 {
		room /= 2
	}
	return own <= room-b.used-n && (!c.stranger || own <= b.size/strangersPart-b.strangers-n)
}

// mayGoAlone reports whether the request may go alone. Where it is too large to go otherwise, and may not now, the turn
// is kept for its caller.
func (b *Budget) mayGoAlone(s *Share, n int64) bool {
	most := b.size / 2 // of the others
	if s.held+n <= b.size/2 {
		most = b.size / 4
	}
	if s.caller.stranger || b.by[s.caller] != s.held || s.held+n <= b.size/4 {
		return false
	}
	turn := b.large == 0 && (!b.kept || b.next == s.caller || time.Now().After(b.keptTo))
	if turn && b.used-s.held <= most {
		return true
	}
	if !b.kept || b.large == 0 && time.Now().After(b.keptTo) {
		b.kept, b.next, b.keptTo = true, s.caller, time.Now().Add(turnKept)
	}
	return false
}

func (b *Budget) give(s *Share, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !s.alone {
		b.add(s.caller, -n)
		return
	}
	if b.large -= n; b.large == 0 {
		s.alone = false
		b.keptTo = time.Now().Add(turnKept)
	}
}

func (b *Budget) add(c caller, n int64) {
	b.used += n
	if c.stranger {
		b.strangers += n
	}
	if b.by[c] += n; b.by[c] <= 0 {
		delete(b.by, c)
	}
}

// Share is what one request holds. Its zero value has no bound. One goroutine uses it.
type Share struct {
	budget *Budget
	caller caller
	held   int64
	alone  bool
}

// Share is one for a request of a user. Give it back with Close.
func (b *Budget) Share(user string) Share { return Share{budget: b, caller: caller{name: user}} }

// Stranger is one for a request of somebody who is not known, from a network (peer.Network). Give it back with Close.
func (b *Budget) Stranger(network string) Share {
	return Share{budget: b, caller: caller{network, true}}
}

// Hold has the request hold so many bytes in all, more or fewer than before. It gives errs.Unavailable where there is
// no room for more; the request then holds what it did.
func (s *Share) Hold(n int64) error {
	n = max(n, 0)
	if s.budget == nil || n == s.held {
		return nil
	}
	if n < s.held {
		s.budget.give(s, s.held-n)
	} else if err := s.budget.take(s, n-s.held); err != nil {
		return err
	}
	s.held = n
	return nil
}

// More has the request hold so many bytes more.
func (s *Share) More(n int64) error { return s.Hold(s.held + n) }

// Close gives all back.
func (s *Share) Close() { _ = s.Hold(0) }
