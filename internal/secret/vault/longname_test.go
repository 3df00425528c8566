package vault

import (
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestLongNames has a Vault that keeps its entries in files, whose names are longer than those of the secrets and
// bounded. What does not fit is refused, and is no fault of Vault's; others go on.
func TestLongNames(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	s, _ := open(t, v, Config{Place: Place{Layout: kv2.LayoutSecret}})
	apply(t, s, set("kept", "1"))
	refused := func(what string, err error) {
		t.Helper()
		if !errs.Is(err, errs.RequestTooLarge) || !strings.Contains(errs.Message(err), "choose a shorter one") {
			t.Errorf("%s: %v (%s), want %q", what, err, errs.CodeOf(err), errs.RequestTooLarge)
		}
	}
	for _, long := range []string{strings.Repeat("n", 120), strings.Repeat("é", 100),
		"db/" + strings.Repeat("n", 300) + "/password"} {
		refused("a set", errOf(s.Apply(t.Context(), org, set(long, "1"))))
		refused("a change with others", errOf(s.Apply(t.Context(), org,
			secret.Change{Set: set(long, "1", "other", "1").Set, Delete: []string{"kept"}})))
		wantKeys(t, s, "kept")
		for call, err := range map[string]error{
			"Get": errOf(secret.Get(t.Context(), s, org, long)), "Info": errOf(s.Info(t.Context(), org, long)),
			"Restore": errOf(s.Restore(t.Context(), org, long, 0, "ann")),
		} {
			if !errs.Is(err, errs.NotFound) {
				t.Errorf("%s: %v (%s), want %q", call, err, errs.CodeOf(err), errs.NotFound)
			}
		}
		apply(t, s, secret.Change{Delete: []string{long}})
	}
	// On the edge an entry can be looked for and not be written, as it is written to a file of a longer name first.
	for n := 100; n < 120; n++ {
		key := strings.Repeat("n", n)
		for _, c := range []secret.Change{set(key, "1"), set(key, "2", "kept", "2")} {
			if _, err := s.Apply(t.Context(), org, c); err != nil {
				refused(key, err)
			}
		}
		apply(t, s, secret.Change{Delete: []string{key}})
	}
	wantKeys(t, s, "kept")
}
