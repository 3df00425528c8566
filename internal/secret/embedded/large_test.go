package embedded

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// TestLargeInOne changes more than a usual transaction takes over an engine that takes more: it is one transaction, with
// nothing staged, and what is too large for one is staged as ever.
func TestLargeInOne(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		s.log = commitlog.New(s.kv, s.kv.(kv.Ample), s.ring)
		for _, c := range []struct {
			names int
			whole bool
		}{{500, true}, {kv.AmpleOps/3 + 1, false}} {
			change := secret.Change{Set: map[string]secret.Value{}}
			for n := range c.names {
				change.Set[fmt.Sprintf("of %d, number %04d", c.names, n)] = secret.NewValue([]byte("a value"))
			}
			apply(t, s, change)
			revs := make(map[int64]bool)
			for name := range change.Set {
				rec, err := s.kv.Get(t.Context(), keyOf(t, s, org, name, records.Value))
				if err != nil {
					t.Fatal(err)
				}
				revs[rec.Rev] = true
			}
			if whole := len(revs) == 1; whole != c.whole {
				t.Errorf("%d names: written by %d transactions", c.names, len(revs))
			}
			wantNothingStaged(t, s.kv)
			checkWhole(t, s)
		}
		// What no other engine could hold is refused here, too.
		long := secret.Change{Set: setOf("a", "1", "b", strings.Repeat("x", commitlog.MaxBytes))}
		for n := range 200 {
			long.Set[fmt.Sprintf("small %d", n)] = secret.NewValue([]byte("1"))
		}
		if err := errOf(s.Apply(t.Context(), org, long)); !errs.Is(err, errs.RequestTooLarge) {
			t.Errorf("a value that is too large among many: %v", err)
		}
	})
}

// TestManyOverOne sets many secrets at once where one of them, or one in another state, is there already: at either end
// of them, in the middle, before, behind. It keeps its version.
func TestManyOverOne(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		var names []string
		change := secret.Change{Set: map[string]secret.Value{}}
		for n := range 2 * plan.ManyNames {
			name := fmt.Sprintf("name %04d", n)
			names = append(names, name)
			change.Set[name] = secret.NewValue([]byte("new"))
		}
		for _, there := range []string{names[0], names[1], names[plan.ManyNames], names[len(names)-1], "a", "z"} {
			for _, deleted := range []bool{false, true} {
				if err := s.Purge(t.Context(), org); err != nil {
					t.Fatal(err)
				}
				apply(t, s, secret.Change{Set: setOf(there, "old")})
				if deleted {
					apply(t, s, secret.Change{Delete: []string{there}})
				}
				apply(t, s, change)
				for _, name := range names {
					want := 1
					if name == there {
						want = 2
					}
					if got := info(t, s, name).Versions; len(got) != want {
						t.Errorf("%s was there (deleted: %t): %s has %d versions, want %d", there, deleted, name, len(got),
							want)
					}
				}
				keys, err := s.Keys(t.Context(), org)
				if want := len(names); err != nil || len(keys) != want && (slices.Contains(names, there) || deleted) {
					t.Errorf("%s was there (deleted: %t): %d names, %v", there, deleted, len(keys), err)
				}
			}
		}
		checkWhole(t, s)
	})
}

// TestManyOverMany sets many secrets at once among others that are there, deleted or as they were: each is planned over
// what there is of it.
func TestManyOverMany(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		before, change := setOf(), secret.Change{Set: setOf()}
		var deleted []string
		want := make(map[string]int)
		for n := range 6 * plan.ManyNames {
			name := fmt.Sprintf("name %04d", n)
			old, now := n%3 != 0, n%2 == 0
			if old {
				before[name] = secret.NewValue([]byte("old"))
				want[name]++
				if n%5 == 0 {
					deleted = append(deleted, name)
				}
			}
			if now {
				change.Set[name] = secret.NewValue([]byte("new"))
				want[name]++
			}
		}
		apply(t, s, secret.Change{Set: before})
		apply(t, s, secret.Change{Delete: deleted})
		apply(t, s, change)
		for name, versions := range want {
			if got := info(t, s, name); len(got.Versions) != versions {
				t.Errorf("%s has %d versions, want %d", name, len(got.Versions), versions)
			}
		}
		checkWhole(t, s)
	})
}
