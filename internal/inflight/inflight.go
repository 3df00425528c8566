// Package inflight bounds the memory of requests under way: what is read of their bodies and held of their answers.
package inflight

import (
	"sync"
	"time"

	"strongroom/internal/errs"
)

// retryAfter is when a request that found no room may try again.
const retryAfter = time.Second

// Budget is the bytes that all requests together may hold. One caller may hold half of them. What is larger than that
// goes alone: it is let through where the caller holds nothing else, and nobody holds more than half. A nil Budget has
// no bound. It is safe for use by many goroutines.
type Budget struct {
	size    int64
	mu      sync.Mutex
	used    int64
	refused uint64
	by      map[string]int64
}

// New makes a budget of so many bytes.
func New(size int64) *Budget { return &Budget{size: size, by: make(map[string]int64)} }

// Used is how many bytes are held.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Size is how many bytes may be held.
func (b *Budget) Size() int64 { return b.size }

// Refused counts what found no room.
func (b *Budget) Refused() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// take lets a request of the caller hold n more than it holds, or gives errs.Unavailable.
func (b *Budget) take(caller string, held, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	own, half := b.by[caller], b.size/2
	fits := own+n <= half && b.used+n <= b.size
	alone := own == held && held+n > half && b.used-own <= half
	if !fits && !alone {
		b.refused++
		e := errs.New(errs.Unavailable, "too much is under way just now; try again in a moment")
		e.RetryAfter = retryAfter
		return e
	}
	b.used += n
	b.by[caller] = own + n
	return nil
}

func (b *Budget) give(caller string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.by[caller] -= n; b.by[caller] <= 0 {
		delete(b.by, caller)
	}
}

// Share is what one request holds. Its zero value has no bound. One goroutine uses it.
type Share struct {
	budget *Budget
	caller string
	held   int64
}

// Share is one for a caller's request. Give it back with Close.
func (b *Budget) Share(caller string) Share { return Share{budget: b, caller: caller} }

// Hold has the request hold so many bytes in all, more or fewer than before. It gives errs.Unavailable where there is
// no room for more; the request then holds what it did.
func (s *Share) Hold(n int64) error {
	if s.budget == nil || n == s.held {
		return nil
	}
	if n < s.held {
		s.budget.give(s.caller, s.held-n)
	} else if err := s.budget.take(s.caller, s.held, n-s.held); err != nil {
		return err
	}
	s.held = n
	return nil
}

// More has the request hold so many bytes more.
func (s *Share) More(n int64) error { return s.Hold(s.held + n) }

// Close gives all back.
func (s *Share) Close() { _ = s.Hold(0) }
