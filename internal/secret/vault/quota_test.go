package vault

import (
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestQuota refuses what goes beyond; where an organisation is one entry, also what is too large.
func TestOrgQuota(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t), Layout: l},
			Quota: secret.Quota{Secrets: 2, Bytes: 1000}})
		apply := func(set string, del ...string) error {
			c := secret.Change{Set: make(map[string]secret.Value), Delete: del}
			for k := range strings.FieldsSeq(set) {
				c.Set[k] = secret.NewValue([]byte("value"))
			}
			_, err := s.Apply(t.Context(), org, c)
			return err
		}
		if err := apply("a b c"); !errs.Is(err, errs.Unprocessable) || !strings.Contains(err.Error(),
			"--max-org-secrets") {
			t.Errorf("three at once: %v", err)
		}
		for _, set := range []string{"a", "b", "a b"} {
			if err := apply(set); err != nil {
				t.Fatalf("%s: %v", set, err)
			}
		}
		if err := apply("c"); !errs.Is(err, errs.Unprocessable) {
			t.Errorf("a third: %v", err)
		}
		if err := apply("c", "a"); err != nil {
			t.Errorf("in the place of another: %v", err)
		}
		keys, err := s.Keys(t.Context(), org)
		if err != nil || strings.Join(keys, " ") != "b c" {
			t.Errorf("Keys: %q, %v", keys, err)
		}
		if l != kv2.LayoutOrg {
			return
		}
		_, err = s.Apply(t.Context(), org, secret.Change{Set: map[string]secret.Value{
			"c": secret.NewValue([]byte(strings.Repeat("v", 1000)))}})
		if !errs.Is(err, errs.Unprocessable) || !strings.Contains(err.Error(), "--max-org-bytes") {
			t.Errorf("a large value: %v", err)
		}
	})
}
