package embedded

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// TestMetadataGone takes away the record that tells of a secret's versions, as whoever can write the file may, or a disk
// that loses it. The value goes on to be given. Nothing is written over the earlier versions, which would get their
// numbers again: that is an error, until the secret is removed for good.
func TestMetadataGone(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		clocked(s, 10)
		for _, v := range []string{"1", "2", "3"} {
			apply(t, s, secret.Change{Set: setOf("a", v, "b", v)})
		}
		if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Delete(keyOf(t, s, org, "a", records.Meta))}); err != nil {
			t.Fatal(err)
		}
		all := func() string {
			recs, err := s.kv.List(t.Context(), records.Prefix(org), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(recs)
		}
		was := all()
		if v, err := secret.Get(t.Context(), s, org, "a"); err != nil || string(v.Bytes()) != "3" {
			t.Errorf("the value: %v", err)
		}
		for what, act := range map[string]func() error{
			"set":      func() error { return errOf(s.Apply(t.Context(), org, secret.Change{Set: setOf("a", "4")})) },
			"delete":   func() error { return errOf(s.Apply(t.Context(), org, secret.Change{Delete: []string{"a"}})) },
			"restore":  func() error { return errOf(s.Restore(t.Context(), org, "a", 1, "")) },
			"describe": func() error { return s.Describe(t.Context(), org, "a", secret.Description{Text: "x"}) },
			"info":     func() error { _, err := s.Info(t.Context(), org, "a"); return err },
		} {
			if err := act(); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), `"a"`) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if all() != was {
			t.Error("what was refused has changed the records")
		}
		if err := s.Remove(t.Context(), org, "a", false); err != nil {
			t.Fatal(err)
		}
		if _, err := s.kv.Get(t.Context(), keyOf(t, s, org, "a", records.Version(1))); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("an earlier version of what was removed: %v", err)
		}
		apply(t, s, secret.Change{Set: setOf("a", "new")})
		if got := info(t, s, "a"); got.Version != 1 || len(got.Versions) != 1 {
			t.Errorf("set anew: %+v", got)
		}
	})
}

// TestDeletedMetadataGone takes away the metadata of a secret that is deleted. Its numbers are not given again, in a
// change of one name or of many, near or far, until it is removed for good; and it ends when its time has come.
func TestDeletedMetadataGone(t *testing.T) {
	t.Parallel()
	for _, far := range []bool{false, true} {
		eachForm(t, func(t *testing.T, s *Store) {
			s.far = far
			clocked(s, 10)
			for _, v := range []string{"1", "2", "3"} {
				apply(t, s, secret.Change{Set: setOf("a", v, "b", v)})
			}
			apply(t, s, secret.Change{Delete: []string{"a", "b"}})
			for _, name := range []string{"a", "b"} {
				meta := keyOf(t, s, org, name, records.Meta)
				if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Delete(meta)}); err != nil {
					t.Fatal(err)
				}
			}
			many := setOf()
			for n := range 2 * plan.ManyNames {
				many[fmt.Sprintf("a%d", n)] = secret.NewValue([]byte("1"))
			}
			apply(t, s, secret.Change{Set: many}) // names on which nothing was left behind
			clear(many)
			for n := range 2 * plan.ManyNames {
				many[fmt.Sprintf("B%d", n)] = secret.NewValue([]byte("1"))
			}
			many["a"] = secret.NewValue([]byte("1"))
			many["c"] = secret.NewValue([]byte("1"))
			for what, set := range map[string]map[string]secret.Value{"one": setOf("a", "4"), "many": many} {
				if _, err := s.Apply(t.Context(), org, secret.Change{Set: set}); !errs.Is(err, errs.Internal) ||
					!strings.Contains(err.Error(), `"a"`) {
					t.Errorf("far %v, %s set: %v", far, what, err)
				}
			}
			if err := s.Remove(t.Context(), org, "a", false); err != nil {
				t.Fatal(err)
			}
			apply(t, s, secret.Change{Set: many})
			if got := info(t, s, "a"); got.Version != 1 || len(got.Versions) != 1 {
				t.Errorf("set anew: %+v", got)
			}
			later := s.now().Add(2 * secret.KeepDeleted)
			s.now = func() time.Time { return later }
			if err := s.Sweep(t.Context()); err != nil {
				t.Errorf("far %v: it is kept for good: %v", far, err)
			}
			version := keyOf(t, s, org, "b", records.Version(1))
			if _, err := s.kv.Get(t.Context(), version); !errors.Is(err, kv.ErrNotFound) {
				t.Errorf("far %v: a version whose time has come: %v", far, err)
			}
			if v, err := secret.Get(t.Context(), s, org, "a"); err != nil || string(v.Bytes()) != "1" {
				t.Errorf("the one set anew: %v", err)
			}
		})
	}
}
