package near

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// How long a check waits for the engine, and for the watch to come to what the engine has said. Where the watch does
// not, nothing is checked for checkPause.
const (
	checkTime  = time.Second
	checkLag   = 10 * time.Millisecond
	checkPause = time.Second
)

// checks has those who ask at the same time whether memory is current do so with one read of the engine. Who comes
// while one is under way waits for the next: what it says may be of before he came.
type checks struct {
	mu      sync.Mutex
	next    *check
	running bool
	not     time.Time // before which nothing is checked
}

type check struct {
	done    chan struct{}
	current bool
}

// Serves reports whether a record is in memory, and memory has what was there so long ago, or all that had returned by
// the call.
func (s *Store) Serves(ctx context.Context, key string, stale time.Duration) bool {
	_, known := s.Recall(key)
	return known && (s.Fresh(stale) || s.Current(ctx))
}

// Current reports whether memory has everything that had returned when it was called. It asks the engine for its
// revision, which for many at a time costs as much as for one, and false says no more than that it is not known.
func (s *Store) Current(ctx context.Context) bool {
	if s.revision == nil {
		return false
	}
	s.checks.mu.Lock()
	c := s.checks.next
	switch {
	case c != nil:
	case time.Now().Before(s.checks.not):
		s.checks.mu.Unlock()
		return false
	default:
		c = &check{done: make(chan struct{})}
		s.checks.next = c
		if !s.checks.running {
			s.checks.running = true
			go s.checkAll()
		}
	}
	s.checks.mu.Unlock()
	select {
	case <-c.done:
		return c.current
	case <-ctx.Done():
		return false
	}
}

// checkAll makes checks until nobody waits for one.
func (s *Store) checkAll() {
	for {
		runtime.Gosched() // those who are about to ask come along
		s.checks.mu.Lock()
		c := s.checks.next
		s.checks.next = nil
		if c == nil {
			s.checks.running = false
			s.checks.mu.Unlock()
			return
		}
		s.checks.mu.Unlock()
		c.current = s.comesTo()
		if !c.current {
			s.checks.mu.Lock()
			s.checks.not = time.Now().Add(checkPause)
			s.checks.mu.Unlock()
		}
		close(c.done)
	}
}

// comesTo asks for the engine's revision, and waits until the watch has told all up to it: what others change that is
// not watched raises the revision, and the watch tells of it when it is asked. Where that is below what had been told
// before, the engine was set back, and memory is of what is no more.
func (s *Store) comesTo() bool {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	s.mu.RLock()
	told := s.told
	s.mu.RUnlock()
	rev, err := s.revision(ctx)
	if err != nil || rev < told {
		return false
	}
	var late <-chan time.Time
	for {
		s.mu.Lock()
		if !s.alive || s.told >= rev {
			defer s.mu.Unlock()
			return s.alive
		}
		if s.advanced == nil {
			s.advanced = make(chan struct{})
		}
		advanced := s.advanced
		s.mu.Unlock()
		if late == nil {
			late = time.After(checkLag)
		}
		if s.hasten != nil {
			s.hasten()
		}
		select {
		case <-advanced:
		case <-late:
			return false
		}
	}
}
