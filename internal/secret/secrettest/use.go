package secrettest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret"
)

// TestFromMemory runs the tests of what a store gives out for use from memory: open gives one that does.
func TestFromMemory(t *testing.T, open func(t *testing.T) secret.Store) {
	t.Run("ForUse", func(t *testing.T) { testForUse(t, open(t)) })
	t.Run("Snapshot", func(t *testing.T) { testSnapshot(t, open(t)) })
	t.Run("OutputNotShared", func(t *testing.T) { testOutputNotShared(t, open(t)) })
	t.Run("ReadersSeeOneMoment", func(t *testing.T) { testReadersSeeOneMoment(t, open(t)) })
}

// testForUse reads values for use, which every store gives, from memory or not. What was changed through the store
// itself is seen at once.
func testForUse(t *testing.T, s secret.Store) {
	use := func(want func(string) bool) map[string]string {
		t.Helper()
		snap, err := s.Read(t.Context(), orgA, secret.Query{Want: want, ForUse: true})
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		got := make(map[string]string)
		for k, v := range snap.Secrets {
			got[k] = string(v.Value.Bytes())
		}
		return got
	}
	all := func(string) bool { return true }
	if got := use(all); len(got) != 0 {
		t.Errorf("of an organisation that has none: %v", got)
	}
	if snap, err := s.Read(t.Context(), orgA, secret.Query{Keys: []string{"a"}, ForUse: true}); err != nil ||
		len(snap.Secrets) != 0 {
		t.Errorf("a missing one: %d, %v", len(snap.Secrets), err)
	}
	apply(t, s, orgA, set("a", "1", "db/a", "2", "db/b", ""))
	apply(t, s, orgB, set("a", "another organisation's"))
	if diff := cmp.Diff(map[string]string{"a": "1", "db/a": "2", "db/b": ""}, use(all)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	apply(t, s, orgA, secret.Change{Set: set("a", "3").Set, Delete: []string{"db/b"}})
	if diff := cmp.Diff(map[string]string{"db/a": "2"}, use(func(k string) bool {
		return strings.HasPrefix(k, "db/")
	})); diff != "" {
		t.Errorf("some, after a change (-want +got):\n%s", diff)
	}
	snap, err := s.Read(t.Context(), orgA, secret.Query{Keys: []string{"a"}, ForUse: true})
	if err != nil || len(snap.Secrets) != 1 || string(snap.Secrets["a"].Value.Bytes()) != "3" {
		t.Errorf("one, after a change: %d, %v", len(snap.Secrets), err)
	}
}
