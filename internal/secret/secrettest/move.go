package secrettest

import (
	"testing"
	"time"

	"strongroom/internal/secret"
)

// moved is the change by which a secret gets another name.
func moved(from, to, value string) secret.Change {
	c := on(set(to, value), from, value)
	c.Delete, c.Only, c.Moved, c.By = []string{from}, secret.IfNew, map[string]string{to: from}, "mover"
	return c
}

// testMove gives a secret another name in one change, and refuses that where the name is taken or the value another.
func testMove(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1", "taken", "2"))
	wantRefused(t, s, moved("a", "taken", "1"), "taken")
	wantRefused(t, s, moved("a", "b", "0"), "a")
	wantKeys(t, s, orgA, "a", "taken")
	apply(t, s, orgA, moved("a", "b", "1"))
	wantKeys(t, s, orgA, "b", "taken")
	wantValue(t, s, orgA, "b", "1")
	apply(t, s, orgA, moved("b", "a", "1")) // back
	wantKeys(t, s, orgA, "a", "taken")
	wantValue(t, s, orgA, "a", "1")
}

// testMoveWithHistory has earlier versions and the description go along, with their numbers and authors, where the
// store says so. What was kept under the new name stays before them.
func testMoveWithHistory(t *testing.T, s secret.Store) {
	if !s.About(orgA).Moves {
		return
	}
	for _, v := range []string{"1", "2", "3"} {
		c := set("a", v)
		c.By = "author of " + v
		apply(t, s, orgA, c)
	}
	mark(t, s, "a", secret.DestroyVersion, 1)
	d := secret.Description{Text: "rings", Expires: time.Date(2031, 1, 2, 0, 0, 0, 0, time.UTC)}
	if err := s.Describe(t.Context(), orgA, "a", d); err != nil {
		t.Fatal(err)
	}
	out, err := s.Apply(t.Context(), orgA, moved("a", "b", "3"))
	if err != nil || out.Versions["b"] != 3 {
		t.Fatalf("Apply: %+v, %v", out, err)
	}
	info := func(key string) secret.Info {
		t.Helper()
		i, err := s.Info(t.Context(), orgA, key)
		if err != nil {
			t.Fatalf("Info(%s): %v", key, err)
		}
		return i
	}
	if i := info("b"); i.Version != 3 || i.By != "author of 3" || i.Description != d || len(i.Versions) != 3 ||
		!i.Deleted.IsZero() {
		t.Fatalf("the moved secret is %+v", i)
	}
	wantVersion(t, s, "b", 1, "")
	wantVersion(t, s, "b", 2, "2")
	wantVersion(t, s, "b", 3, "3")
	if i := info("a"); i.Deleted.IsZero() || i.Version != 3 {
		t.Fatalf("under its old name it is %+v", i)
	}
	// The old name can be brought back, as any secret that is deleted.
	if _, err := s.Restore(t.Context(), orgA, "a", 0, ""); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, orgA, "a", "3")
	// Moved to a name that was deleted, its versions are behind those.
	apply(t, s, orgA, secret.Change{Delete: []string{"b"}})
	out, err = s.Apply(t.Context(), orgA, moved("a", "b", "3"))
	if err != nil {
		t.Fatal(err)
	}
	i := info("b")
	if i.Version <= 3 || out.Versions["b"] != i.Version || !i.Deleted.IsZero() {
		t.Fatalf("moved to a name that was deleted: %+v, %+v", out, i)
	}
	wantVersion(t, s, "b", i.Version, "3")
	wantVersion(t, s, "b", 3, "3")
	apply(t, s, orgA, set("b", "4"))
	wantVersion(t, s, "b", i.Version+1, "4")
	wantVersion(t, s, "b", i.Version, "3")
}
