// Package bounded keeps in memory what can be had again, and no more of it than there is room for.
package bounded

import (
	"iter"
	"maps"
)

// Map is a map whose entries take at most so much room together, whatever that is measured in. Where there is no room,
// any other entries go: what is asked for often comes back, and to keep an order would make each look a change.
//
// It is no safer for use by many goroutines than a map is. Make it with New.
type Map[K comparable, V any] struct {
	limit, taken int
	entries      map[K]entry[V]
	gone         func(K, V)
}

type entry[V any] struct {
	value V
	room  int
}

// New makes an empty map. gone is told of each entry that goes, whether it is dropped, replaced or in the way of
// another; it may be nil, and must not change the map.
func New[K comparable, V any](limit int, gone func(K, V)) *Map[K, V] {
	if gone == nil {
		gone = func(K, V) {}
	}
	return &Map[K, V]{limit: limit, entries: make(map[K]entry[V]), gone: gone}
}

// Get gives what is kept under the key.
func (m *Map[K, V]) Get(key K) (V, bool) {
	e, ok := m.entries[key]
	return e.value, ok
}

// Put keeps the value, which takes so much room, in the place of the key's former one. One that takes more than the
// limit by itself is not kept.
func (m *Map[K, V]) Put(key K, value V, room int) {
	m.Drop(key)
	if room > m.limit {
		return
	}
	for other := range m.entries {
		if m.taken+room <= m.limit {
			break
		}
		m.Drop(other)
	}
	m.entries[key] = entry[V]{value, room}
	m.taken += room
}

// Drop forgets the key's entry, if there is one.
func (m *Map[K, V]) Drop(key K) {
	if e, ok := m.entries[key]; ok {
		delete(m.entries, key)
		m.taken -= e.room
		m.gone(key, e.value)
	}
}

// Clear forgets everything.
func (m *Map[K, V]) Clear() {
	for key := range m.entries {
		m.Drop(key)
	}
}

// Len is how many entries there are.
func (m *Map[K, V]) Len() int { return len(m.entries) }

// Keys gives the keys in no order. They may be dropped on the way.
func (m *Map[K, V]) Keys() iter.Seq[K] { return maps.Keys(m.entries) }
