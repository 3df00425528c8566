package secrettest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
)

// only gives the change a condition.
func only(c secret.Condition, change secret.Change) secret.Change {
	change.Only = c
	return change
}

// wantRefused makes a change whose condition does not hold because of the key.
func wantRefused(t *testing.T, s secret.Store, change secret.Change, key string) {
	t.Helper()
	_, err := s.Apply(t.Context(), orgA, change)
	if !errs.Is(err, errs.PreconditionFailed) || !strings.Contains(errs.Message(err), key) {
		t.Fatalf("Apply: %v, want an error of code %q that names %s", err, errs.PreconditionFailed, key)
	}
}

func testConditionDoesNotHold(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1", "b", "1"))
	wantRefused(t, s, only(secret.IfNew, set("a", "2")), "a")
	wantRefused(t, s, only(secret.IfNew, set("a", "1")), "a") // with the value it has
	wantRefused(t, s, only(secret.IfNew, set("0", "2", "b", "2", "c", "2")), "b")
	wantRefused(t, s, only(secret.IfNew, secret.Change{Set: set("a", "2").Set, Delete: []string{"b"}}), "a")
	wantRefused(t, s, only(secret.IfExisting, set("c", "2")), "c")
	wantRefused(t, s, only(secret.IfExisting, set("a", "2", "c", "2")), "c")
	wantRefused(t, s, only(secret.IfExisting, secret.Change{Set: set("c", "2").Set, Delete: []string{"b"}}), "c")
	wantKeys(t, s, orgA, "a", "b")
	wantValue(t, s, orgA, "a", "1")
	wantValue(t, s, orgA, "b", "1")

	many := numbered("key", 300)
	apply(t, s, orgA, many)
	wantRefused(t, s, only(secret.IfNew, many), "key-0")
	apply(t, s, orgA, secret.Change{Delete: []string{"a"}})
	wantRefused(t, s, only(secret.IfExisting, set("a", "2")), "a")
}

func testConditionHolds(t *testing.T, s secret.Store) {
	apply(t, s, orgA, only(secret.IfNew, set("a", "1")))
	apply(t, s, orgA, only(secret.IfExisting, set("a", "2")))
	wantValue(t, s, orgA, "a", "2")
	apply(t, s, orgA, only(secret.IfNew, secret.Change{Set: set("b", "1", "c", "1").Set, Delete: []string{"a"}}))
	wantKeys(t, s, orgA, "b", "c")
	apply(t, s, orgA, only(secret.IfNew, set("a", "3"))) // which was deleted
	apply(t, s, orgA, only(secret.IfExisting, set("a", "3", "b", "3")))
	for _, key := range []string{"a", "b"} {
		wantValue(t, s, orgA, key, "3")
	}
	wantValue(t, s, orgA, "c", "1")
	apply(t, s, orgA, only(secret.IfNew, numbered("key", 300)))
	apply(t, s, orgA, only(secret.IfExisting, numbered("key", 300)))
	apply(t, s, orgB, only(secret.IfNew, set("a", "1")))
}

func testConcurrentNew(t *testing.T, s secret.Store) { oneMakes(t, s) }

// oneMakes has many make the same secret at once, and others change other secrets: one makes it, all others
// are told that it exists.
func oneMakes(t *testing.T, stores ...secret.Store) {
	const writers, rounds = 8, 3
	for round := range rounds {
		key := fmt.Sprintf("key-%d", round)
		var wg sync.WaitGroup
		outcomes := make([]error, writers)
		for i := range writers {
			s := stores[i%len(stores)]
			wg.Go(func() {
				_, outcomes[i] = s.Apply(t.Context(), orgA, only(secret.IfNew, set(key, fmt.Sprintf("value of %d", i))))
			})
			wg.Go(func() {
				if _, err := s.Apply(t.Context(), orgA, set(fmt.Sprintf("other-%d", i), key)); err != nil {
					t.Errorf("writer of another secret: %v", err)
				}
			})
		}
		wg.Wait()
		made := -1
		for i, err := range outcomes {
			switch {
			case err == nil && made >= 0:
				t.Fatalf("both %d and %d have made the same secret", made, i)
			case err == nil:
				made = i
			case !errs.Is(err, errs.PreconditionFailed):
				t.Fatalf("writer %d: %v", i, err)
			}
		}
		if made < 0 {
			t.Fatal("nobody has made the secret")
		}
		for _, s := range stores {
			wantValue(t, s, orgA, key, fmt.Sprintf("value of %d", made))
		}
	}
}
