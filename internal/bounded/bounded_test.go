package bounded

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func TestTooLarge(t *testing.T) {
	m := New[string, int](10, nil)
	m.Put("a", 1, 10)
	m.Put("a", 2, 11)
	if v, ok := m.Get("a"); ok {
		t.Errorf("a value beyond the limit was put, and %d is kept", v)
	}
	m.Drop("a")
	m.Put("b", 3, 10)
	if v, ok := m.Get("b"); !ok || v != 3 {
		t.Errorf("a value of the limit's size is kept as %d, %v", v, ok)
	}
}

// TestRoom does anything in any order: what is kept is what was put last, takes no more than the limit, and all else
// was said to have gone, once.
func TestRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 20).Draw(t, "limit")
		type put struct{ key, n, room int }
		there := map[int]put{} // by number: what was put and has not gone
		m := New(limit, func(key int, p put) {
			if _, ok := there[p.n]; !ok || key != p.key {
				t.Fatalf("%v went under %d, and was kept: %v", p, key, ok)
			}
			delete(there, p.n)
		})
		for n := range rapid.IntRange(1, 50).Draw(t, "steps") {
			key := rapid.IntRange(0, 5).Draw(t, "key")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				m.Clear()
			case 1, 2:
				m.Drop(key)
			default:
				p := put{key, n, rapid.IntRange(0, 8).Draw(t, "room")}
				if p.room <= limit {
					there[n] = p
				}
				m.Put(key, p, p.room)
				if got, ok := m.Get(key); ok != (p.room <= limit) || ok && got != p {
					t.Fatalf("put %v, got %v, %v", p, got, ok)
				}
			}
			kept, taken := map[int]put{}, 0
			for k := range m.Keys() {
				p, _ := m.Get(k)
				kept[p.n] = p
				taken += p.room
			}
			if !maps.Equal(kept, there) || taken > limit || m.Len() != len(kept) {
				t.Fatalf("%v are kept, %d of %d; not gone are %v", kept, taken, limit, there)
			}
		}
	})
}
