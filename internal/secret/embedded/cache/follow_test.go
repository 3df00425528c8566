package cache

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// TestFollowed has lists follow changes, and reads anew what is not known.
func TestFollowed(t *testing.T) {
	const org = 1
	f := NewFollowed(1 << 20)
	now := []string{"a", "c"}
	reads := 0
	names := func(rev int64, read bool, want ...string) {
		t.Helper()
		before := reads
		got, err := f.Names(Deleted, org, rev,
			func() ([]string, error) { reads++; return slices.Clone(now), nil },
			func(name string) (bool, error) { return slices.Contains(now, name), nil })
		if err != nil || !slices.Equal(got, want) || read != (reads > before) {
			t.Fatalf("at %d: %q, %v, read %v", rev, got, err, reads > before)
		}
	}
	broken := errors.New("broken")
	fails := func() ([]string, error) { return nil, broken }
	if _, err := f.Names(Deleted, org, 5, fails, nil); !errors.Is(err, broken) {
		t.Fatalf("a list that cannot be read: %v", err)
	}
	names(5, true, "a", "c")
	names(5, false, "a", "c")
	now = []string{"b", "c", "d"}
	f.Changed(org, 5, 6, []string{"d", "b", "c"})
	f.Changed(org, 6, 8, []string{"a", "b", "e"})
	if _, err := f.Names(Deleted, org, 8, fails, func(string) (bool, error) { return false, broken }); !errors.Is(err,
		broken) {
		t.Fatalf("a name that cannot be looked for: %v", err)
	}
	names(8, false, "b", "c", "d")
	names(8, false, "b", "c", "d")
	names(9, true, "b", "c", "d")         // another server has changed something
	f.Changed(org, 8, 9, []string{"c"})   // of which the list knows
	f.Changed(org, 10, 11, []string{"c"}) // and this began where it is not
	names(11, true, "b", "c", "d")
	f.Changed(org, 11, 0, nil) // nobody knows where that has led
	names(12, true, "b", "c", "d")
	var many []string
	for i := range MostTouched + 1 {
		many = append(many, fmt.Sprint(i))
	}
	f.Changed(org, 12, 13, many[1:])
	f.Changed(org, 13, 14, many[:1]) // that is too many
	names(14, true, "b", "c", "d")
	f.Drop(org)
	names(14, true, "b", "c", "d")
	small := NewFollowed(50)
	for range 2 {
		if got, err := small.Names(Alive, org, 5, func() ([]string, error) { return many, nil }, nil); err != nil ||
			len(got) != len(many) || small.all[Alive].Len() != 0 {
			t.Errorf("of a list larger than there is room for: %d names, %v", len(got), err)
		}
	}
}
