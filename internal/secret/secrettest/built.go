package secrettest

import (
	"testing"

	"strongroom/internal/secret"
)

// on makes a change depend on what the keys hold: key, value, key, value; the value "-" is for one that does not exist.
func on(change secret.Change, pairs ...string) secret.Change {
	change.Was = make(map[string]*secret.Value)
	for i := 0; i < len(pairs); i += 2 {
		if change.Was[pairs[i]] = nil; pairs[i+1] != "-" {
			v := secret.NewValue([]byte(pairs[i+1]))
			change.Was[pairs[i]] = &v
		}
	}
	return change
}

// testBuiltOnOther makes changes that build on what is not so: none is made, not even in part.
func testBuiltOnOther(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1", "b", "1", "empty", ""))
	wantRefused(t, s, on(set("a", "2"), "a", "0"), "a")
	wantRefused(t, s, on(set("a", "2"), "a", "-"), "a")
	wantRefused(t, s, on(set("a", "1"), "a", "-"), "a") // with the value it has
	wantRefused(t, s, on(set("c", "2"), "c", ""), "c")
	wantRefused(t, s, on(set("empty", "2"), "empty", "-"), "empty")
	wantRefused(t, s, on(set("a", "2", "b", "2"), "a", "1", "b", "0"), "b")
	wantRefused(t, s, on(secret.Change{Delete: []string{"a"}}, "a", "0"), "a")
	wantRefused(t, s, on(secret.Change{Delete: []string{"c"}}, "c", "1"), "c")
	wantRefused(t, s, on(secret.Change{Set: set("c", "1").Set, Delete: []string{"a", "b"}}, "a", "1", "b", "2"), "b")
	wantKeys(t, s, orgA, "a", "b", "empty")
	wantValue(t, s, orgA, "a", "1")
	wantValue(t, s, orgA, "b", "1")

	many := numbered("key", 50)
	apply(t, s, orgA, many)
	wantRefused(t, s, on(many, "key-0020", "other"), "key-0020")
}

func testBuiltOn(t *testing.T, s secret.Store) {
	apply(t, s, orgA, on(set("a", "1", "b", ""), "a", "-", "b", "-"))
	apply(t, s, orgA, on(set("a", "2", "b", "2"), "a", "1", "b", ""))
	wantValue(t, s, orgA, "a", "2")
	apply(t, s, orgA, on(secret.Change{Set: set("c", "1").Set, Delete: []string{"a"}}, "a", "2", "c", "-"))
	wantKeys(t, s, orgA, "b", "c")
	apply(t, s, orgA, on(set("a", "3"), "a", "-")) // which was deleted
	apply(t, s, orgA, on(secret.Change{Delete: []string{"a", "b"}}, "b", "2"))
	apply(t, s, orgA, on(secret.Change{Delete: []string{"a"}}, "a", "-"))
	wantKeys(t, s, orgA, "c")
}
