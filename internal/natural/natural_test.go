package natural

import (
	"slices"
	"testing"
)

func TestCompare(t *testing.T) {
	want := []string{"", "A", "a", "a/1", "a1", "a01", "a2", "a10", "a10b", "b007", "b7a", "db-old/x", "db/2", "db/10",
		"é"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	want = []string{"", "A", "a", "a/1", "a01", "a1", "a2", "a10", "a10b", "b007", "b7a", "db-old/x", "db/2", "db/10",
		"é"}
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %q", got)
	}
	for _, a := range want {
		for _, b := range want {
			if Compare(a, b) != 0 && a == b || Compare(a, b) == 0 && a != b ||
				(Compare(a, b) < 0) != (Compare(b, a) > 0) {
				t.Errorf("%q and %q are in no order", a, b)
			}
		}
	}
}

func TestSortPeople(t *testing.T) {
	want := []string{"", "Ångström", "anna", "Änne", "Ærø", "Eddie", "E\u0301mile", "Émile", "emma", "Łukasz", "robot 2",
		"Robot 10", "Strauß", "strausz", "Zoë", "Ольга", "漢字"}
	got := slices.Clone(want)
	slices.Reverse(got)
	SortPeople(got, func(s string) string { return s })
	if !slices.Equal(got, []string{"", "Ærø", "Ångström", "anna", "Änne", "Eddie", "E\u0301mile", "Émile", "emma",
		"Łukasz", "robot 2", "Robot 10", "Strauß", "strausz", "Zoë", "Ольга", "漢字"}) {
		t.Errorf("sorted: %q", got)
	}
}
