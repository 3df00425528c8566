package listing

import (
	"slices"
	"sync"

	"strongroom/internal/natural"
)

// Sorted keeps lists in the natural order beside those that they were made of, so that a list which has not changed is
// not sorted again for each page. The zero value is ready.
type Sorted struct {
	mu   sync.Mutex
	last [16]struct{ of, sorted []string }
	next int
}

// Of is the list in the natural order. The list itself is not changed, and must not be by others.
func (s *Sorted) Of(names []string) []string {
	if len(names) == 0 {
		return names
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.last {
		if len(l.of) == len(names) && &l.of[0] == &names[0] {
			return l.sorted
		}
	}
	sorted := names
	if !slices.IsSortedFunc(names, natural.Compare) {
		sorted = slices.SortedFunc(slices.Values(names), natural.Compare)
	}
	s.last[s.next].of, s.last[s.next].sorted = names, sorted
	s.next = (s.next + 1) % len(s.last)
	return sorted
}
