package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
)

// FuzzRecords writes to the engine behind the store's back: it changes, cuts, swaps and removes records. Whatever is
// there, a value that is given out is one that was set under that very name in that very organisation, and
// nothing hangs or panics.
func FuzzRecords(f *testing.F) {
	const orgA, orgB id.ID = 0x0a, 0x0b
	dir := f.TempDir()
	path, key := filepath.Join(dir, "influxd.bolt"), seal.KeyFile(filepath.Join(dir, "seal.key"))
	open := func(t testing.TB) (*bolt.DB, *embedded.Store) {
		db, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: key})
		if err != nil {
			t.Fatal(err)
		}
		return db, embedded.New(embedded.Config{KV: db, Keyring: ring, History: 3})
	}
	db, s := open(f)
	given := make(map[string][]string) // by organisation and name: what was ever set
	for _, org := range []id.ID{orgA, orgB} {
		for n := range 3 {
			set := make(map[string]secret.Value)
			for _, name := range []string{"a", "b", "c/d"} {
				v := fmt.Sprintf("%s %s %d", org, name, n)
				set[name], given[org.String()+name] = secret.NewValue([]byte(v)), append(given[org.String()+name], v)
			}
			if _, err := s.Apply(f.Context(), org, secret.Change{Set: set}); err != nil {
				f.Fatal(err)
			}
		}
		if _, err := s.Apply(f.Context(), org, secret.Change{Delete: []string{"b"}}); err != nil {
			f.Fatal(err)
		}
	}
	var records []kv.Record
	all, err := db.List(f.Context(), "", "", 1000)
	for _, r := range all {
		if !strings.HasPrefix(r.Key, "core/") { // package keyring's
			records = append(records, r)
		}
	}
	if err != nil || len(records) < 20 {
		f.Fatalf("there are %d records (%v)", len(records), err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for op := range byte(5) {
		for i := int(op); i < len(records); i += 5 { // any will do: the fuzzer tries the rest
			f.Add([]byte{op, byte(i), 3, 9})
		}
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		db, s := open(t)
		defer db.Close()
		for ; len(edits) >= 4; edits = edits[4:] {
			r, arg := records[int(edits[1])%len(records)], edits[2:4]
			value := slices.Clone(r.Value)
			op := kv.Put(r.Key, value)
			switch edits[0] % 5 {
			case 0: // one byte is another
				if len(value) > 0 {
					value[int(arg[0])%len(value)] ^= arg[1] | 1
				}
			case 1: // it is cut
				op.Value = value[:int(arg[0])%(len(value)+1)]
			case 2: // it is another's
				op.Value = records[int(arg[0])%len(records)].Value
			case 3: // it is gone
				op = kv.Delete(r.Key)
			case 4: // it is at another place, too
				op = kv.Put(r.Key+string(arg[:1]), value)
			}
			if _, err := db.Txn(t.Context(), nil, []kv.Op{op}); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		wantGiven := func(org id.ID, name string, v secret.Value) {
			if !slices.Contains(given[org.String()+name], string(v.Bytes())) {
				t.Errorf("%s of %s is %q, which it never was", name, org, v.Bytes())
			}
		}
		_, _ = s.Verify(ctx, func(string, string) {})
		_ = s.Recover(ctx)
		for _, org := range []id.ID{orgA, orgB} {
			keys, _ := s.Keys(ctx, org)
			_, _ = s.Deleted(ctx, org, secret.Page{})
			for _, name := range append(slices.Clone(keys), "a", "b", "c/d") {
				if v, err := secret.Get(ctx, s, org, name); err == nil {
					wantGiven(org, name, v)
				}
				_, _ = s.Info(ctx, org, name)
				if _, err := s.Restore(ctx, org, name, 0, "fuzz"); err == nil {
					if v, err := secret.Get(ctx, s, org, name); err == nil {
						wantGiven(org, name, v)
					}
				}
				_ = s.Describe(ctx, org, name, secret.Description{Text: "fuzz"})
			}
			set := secret.Change{Set: map[string]secret.Value{"new": secret.NewValue([]byte("new"))},
				Delete: []string{"a"}}
			if _, err := s.Apply(ctx, org, set); err == nil {
				if v, err := secret.Get(ctx, s, org, "new"); err != nil || string(v.Bytes()) != "new" {
					t.Errorf("what was just set is %q (%v)", v.Bytes(), err)
				}
			}
			if err := s.Purge(context.WithoutCancel(ctx), org); err == nil {
				if keys, err := s.Keys(ctx, org); err != nil || len(keys) != 0 {
					t.Errorf("purged, and there is %q (%v)", keys, err)
				}
			}
		}
	})
}
