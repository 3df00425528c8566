package embedded

import (
	"slices"
	"testing"

	"strongroom/internal/secret"
)

// TestSharedKeys asks for the list: it is the same one as long as nothing has changed, and the new one after that.
func TestSharedKeys(t *testing.T) {
	s := newStore(t, openKV(t), keyFile(t))
	set := func(names ...string) {
		t.Helper()
		c := secret.Change{Set: map[string]secret.Value{}}
		for _, n := range names {
			c.Set[n] = secret.NewValue([]byte("value"))
		}
		if _, err := s.Apply(t.Context(), org, c); err != nil {
			t.Fatal(err)
		}
	}
	shared := func(want ...string) []string {
		t.Helper()
		keys, err := s.Keys(t.Context(), org)
		if err != nil || !slices.Equal(keys, want) {
			t.Fatalf("%q, want %q: %v", keys, want, err)
		}
		return keys
	}
	if keys := shared(); keys == nil {
		t.Error("an empty list is nil")
	}
	set("a", "b")
	first := shared("a", "b")
	if again := shared("a", "b"); &again[0] != &first[0] {
		t.Error("nothing has changed, and the list is another one")
	}
	set("c")
	shared("a", "b", "c")
	if !slices.Equal(first, []string{"a", "b"}) {
		t.Errorf("a list that was handed out has become %q", first)
	}
}
