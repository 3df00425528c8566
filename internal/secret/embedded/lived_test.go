package embedded

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// lived is what is there of an organisation's secrets after some life: of every secret its values, oldest first, and
// whether it has been deleted.
type lived struct {
	values  map[string][]string
	deleted map[string]bool
}

// live fills a store with the life of two organisations: new values, deletions, restored versions, large changes.
func live(t *testing.T, s *Store) map[id.ID]*lived {
	t.Helper()
	all := map[id.ID]*lived{}
	for _, o := range []id.ID{org, otherOrg} {
		l := &lived{map[string][]string{}, map[string]bool{}}
		all[o] = l
		set := func(pairs ...string) {
			t.Helper()
			if _, err := s.Apply(t.Context(), o, secret.Change{Set: setOf(pairs...), By: "ann"}); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(pairs); i += 2 {
				l.values[pairs[i]], l.deleted[pairs[i]] = append(l.values[pairs[i]], pairs[i+1]), false
			}
		}
		remove := func(name string) {
			t.Helper()
			if _, err := s.Apply(t.Context(), o, secret.Change{Delete: []string{name}, By: "bob"}); err != nil {
				t.Fatal(err)
			}
			l.deleted[name] = true
		}
		var many []string
		for i := range 60 {
			many = append(many, fmt.Sprintf("telltale-many-%02d", i), fmt.Sprint("value ", i, " of ", o))
		}
		set(many...)
		set("telltale-once", "1")
		for i := range 4 {
			set("telltale-often", fmt.Sprint("value ", i))
		}
		if o == otherOrg { // more than one transaction holds
			for i := range 2 {
				set("telltale-large", strings.Repeat("x", 900_000+i))
			}
		}
		set("telltale/gone ключ", "1")
		remove("telltale/gone ключ")
		set("telltale-back", "1")
		remove("telltale-back")
		set("telltale-back", "2")
		set("telltale-again", "1")
		set("telltale-again", "2")
		if _, err := s.Restore(t.Context(), o, "telltale-again", 1, "bob"); err != nil {
			t.Fatal(err)
		}
		l.values["telltale-again"] = append(l.values["telltale-again"], "1")
		if err := s.Describe(t.Context(), o, "telltale-once", secret.Description{Text: "described"}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantLived looks for all of it, and for nothing else, and has the records verified.
func wantLived(t *testing.T, s *Store, all map[id.ID]*lived) {
	t.Helper()
	for o, l := range all {
		names, gone := []string{}, []string{}
		for _, name := range slices.Sorted(maps.Keys(l.values)) {
			if l.deleted[name] {
				gone = append(gone, name)
			} else {
				names = append(names, name)
			}
		}
		if keys, err := s.Keys(t.Context(), o); err != nil || !slices.Equal(keys, names) {
			t.Fatalf("organisation %s has the keys %q, %v, want %q", o, keys, err, names)
		}
		deleted, err := s.Deleted(t.Context(), o, secret.Page{})
		var were []string
		for _, i := range deleted {
			were = append(were, i.Key)
		}
		if err != nil || !slices.Equal(were, gone) {
			t.Fatalf("organisation %s: deleted are %q, %v, want %q", o, were, err, gone)
		}
		for name, values := range l.values {
			i, err := s.Info(t.Context(), o, name)
			if err != nil || i.Version != len(values) || len(i.Versions) != len(values) {
				t.Fatalf("%q of %s: %+v, %v", name, o, i, err)
			}
			got, err := secret.Get(t.Context(), s, o, name)
			if l.deleted[name] != errs.Is(err, errs.NotFound) ||
				!l.deleted[name] && string(got.Bytes()) != values[len(values)-1] {
				t.Fatalf("%q of %s: a value of %d bytes, %v", name, o, got.Len(), err)
			}
		}
		if i, err := s.Info(t.Context(), o, "telltale-once"); err != nil || i.Text != "described" {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	if problems := verified(t, s); len(problems) > 0 {
		t.Fatalf("what is wrong: %q", problems)
	}
}

// wantForm looks whether every record is of the form, and no key names a secret where it is a sealed one.
func wantForm(t *testing.T, s *Store, want uint32) {
	t.Helper()
	if got := s.ring.Names(); got != (keyring.Names{Form: want}) {
		t.Fatalf("the keyring has %+v, want form %d", got, want)
	}
	n := 0
	for _, root := range []string{records.Root, records.TrashRoot} {
		recs, err := s.kv.List(t.Context(), root, "", 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			n++
			if place, _, err := records.Parse(rec.Key); err == nil && uint32(place.Form) != want ||
				want != keyring.Clear && strings.Contains(rec.Key, "telltale") {
				t.Errorf("record %q is not of form %d", rec.Key, want)
			}
		}
	}
	if n < 300 {
		t.Errorf("there are only %d records", n)
	}
}

// wantLastVersions restores what came before the newest value: the earlier ones are still what they were.
func wantLastVersions(t *testing.T, s *Store, all map[id.ID]*lived) {
	t.Helper()
	for o, l := range all {
		for name, values := range l.values {
			if len(values) < 2 {
				continue
			}
			if _, err := s.Restore(t.Context(), o, name, len(values)-1, "eve"); err != nil {
				t.Fatalf("restoring %q: %v", name, err)
			}
			if got, err := secret.Get(t.Context(), s, o, name); err != nil ||
				string(got.Bytes()) != values[len(values)-2] {
				t.Errorf("%q restored: %d bytes, %v", name, got.Len(), err)
			}
		}
		if _, err := s.Restore(t.Context(), o, "telltale/gone ключ", 0, "eve"); err != nil {
			t.Error(err)
		}
	}
}
