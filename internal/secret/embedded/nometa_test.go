package embedded

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
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
		if err := s.Remove(t.Context(), org, "a"); err != nil {
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
