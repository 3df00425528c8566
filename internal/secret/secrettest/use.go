package secrettest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
)

// testForUse reads values for use, which every store gives, from memory or not. What was changed through the store itself
// is seen at once.
func testForUse(t *testing.T, s secret.Store) {
	use := func(want func(string) bool) map[string]string {
		t.Helper()
		values, err := secret.UseAll(t.Context(), s, orgA, want)
		if err != nil {
			t.Fatalf("UseAll: %v", err)
		}
		got := make(map[string]string)
		for k, v := range values {
			got[k] = string(v.Bytes())
		}
		return got
	}
	all := func(string) bool { return true }
	if got := use(all); len(got) != 0 {
		t.Errorf("of an organisation that has none: %v", got)
	}
	if _, err := secret.Use(t.Context(), s, orgA, "a"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a missing one: %v", err)
	}
	apply(t, s, orgA, set("a", "1", "db/a", "2", "db/b", ""))
	apply(t, s, orgB, set("a", "another organisation's"))
	if diff := cmp.Diff(map[string]string{"a": "1", "db/a": "2", "db/b": ""}, use(all)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	apply(t, s, orgA, secret.Change{Set: set("a", "3").Set, Delete: []string{"db/b"}})
	if diff := cmp.Diff(map[string]string{"db/a": "2"}, use(func(k string) bool { return strings.HasPrefix(k, "db/") })); diff != "" {
		t.Errorf("some, after a change (-want +got):\n%s", diff)
	}
	if v, err := secret.Use(t.Context(), s, orgA, "a"); err != nil || string(v.Bytes()) != "3" {
		t.Errorf("one, after a change: %q, %v", v.Bytes(), err)
	}
}
