package embedded

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// TestPurgeInPieces removes all of an organisation with many secrets, some of them deleted. No transaction has more
// than a piece, and before each of them a change of another organisation is made, from its beginning to its end.
func TestPurgeInPieces(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, openKV(t), keyFile(t))
			f.begin(t, s)
			const secrets = 3000
			c, gone := secret.Change{Set: make(map[string]secret.Value)}, secret.Change{}
			for n := range secrets {
				name := fmt.Sprintf("number %04d", n)
				if c.Set[name] = secret.NewValue([]byte("a value")); n%3 == 0 {
					gone.Delete = append(gone.Delete, name)
				}
			}
			apply(t, s, c)
			apply(t, s, gone)
			engine := &kvtest.Pieces{Store: s.kv, Ours: removesOrg}
			engine.Others = func(changes int) error {
				return errOf(s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("theirs", fmt.Sprint(changes))}))
			}
			onto(s, engine)
			if err := s.Purge(t.Context(), org); err != nil {
				t.Fatal(err)
			}
			// Each secret has at least two records; begin and end are transactions of their own.
			changes := engine.Check(t, 2*secrets/kv.MaxOps+2)
			for _, of := range []string{records.Prefix(org), records.TrashPrefix(org)} {
				if left, err := s.kv.List(t.Context(), of, "", 1); err != nil || len(left) > 0 {
					t.Errorf("left are %v, %v", left, err)
				}
			}
			got, err := secret.Get(t.Context(), s, otherOrg, "theirs")
			if err != nil || string(got.Bytes()) != fmt.Sprint(changes) {
				t.Errorf("the other organisation's secret: %v", err)
			}
		})
	}
}

// removesOrg reports whether a transaction removes something of the organisation.
func removesOrg(ops []kv.Op) bool {
	return slices.ContainsFunc(ops, func(op kv.Op) bool {
		return strings.HasPrefix(op.Key, records.Prefix(org)) || strings.HasPrefix(op.Key, records.TrashPrefix(org)) ||
			strings.HasPrefix(op.Key, purge.Key(org))
	})
}
