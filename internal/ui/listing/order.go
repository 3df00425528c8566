package listing

import (
	"slices"
	"strings"
	"sync"
)

// Natural is the order in which people look for a name: capital and small letters are the same, and 2 comes before 10,
// unless nothing else differs.
func Natural(a, b string) int {
	if c := natural(a, b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// natural is Natural for which capital letters, and zeros before a number, make no difference.
func natural(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, y := a[i], b[j]
		if digit(x) && digit(y) {
			var m, n string
			m, i = number(a, i)
			n, j = number(b, j)
			if len(m) != len(n) {
				return len(m) - len(n)
			}
			if c := strings.Compare(m, n); c != 0 {
				return c
			}
			continue
		}
		if x, y = small(x), small(y); x != y {
			return int(x) - int(y)
		}
		i++
		j++
	}
	return (len(a) - i) - (len(b) - j)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// small knows the capital letters of ASCII alone: 10,000 names are compared for each page.
func small(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// number reads the digits at i, without the zeros before them, and tells where they end.
func number(s string, i int) (digits string, end int) {
	for i < len(s) && s[i] == '0' {
		i++
	}
	end = i
	for end < len(s) && digit(s[end]) {
		end++
	}
	return s[i:end], end
}

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
	if !slices.IsSortedFunc(names, Natural) {
		sorted = slices.SortedFunc(slices.Values(names), Natural)
	}
	s.last[s.next].of, s.last[s.next].sorted = names, sorted
	s.next = (s.next + 1) % len(s.last)
	return sorted
}
