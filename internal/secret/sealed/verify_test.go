package sealed

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
)

func verifiable(t testing.TB) (*Store, *bolt.DB) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{KV: db, Keyring: ring})
	for org := id.ID(1); org < 4; org++ {
		change := secret.Change{Set: map[string]secret.Value{"a/b": secret.NewValue([]byte("sesame")), "c": secret.NewValue(nil)}}
		if err := s.Apply(t.Context(), org, change); err != nil {
			t.Fatal(err)
		}
	}
	return s, db
}

func verify(t testing.TB, s *Store) (problems []string) {
	t.Helper()
	orgs, err := s.Verify(t.Context(), func(k, what string) { problems = append(problems, k+": "+what) })
	if err != nil {
		t.Fatal(err)
	}
	if len(orgs) == 0 {
		t.Error("no organisation has secrets")
	}
	return problems
}

// TestVerifyFindsEveryLoss takes each record of the secrets away in turn, and changes it: both show.
func TestVerifyFindsEveryLoss(t *testing.T) {
	s, db := verifiable(t)
	if problems := verify(t, s); len(problems) > 0 {
		t.Fatalf("whole data: %q", problems)
	}
	recs, err := db.List(t.Context(), dataRoot, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		changed := bytes.Clone(r.Value)
		broken := kv.Put(r.Key, append(changed, 'x'))
		if strings.Contains(r.Key, "/names/") { // what is in it means nothing
			broken = kv.Delete(r.Key)
		}
		ops := []kv.Op{broken}
		if !strings.Contains(r.Key, "/m/") && !strings.Contains(r.Key, "/h/") { // those may be missing
			ops = append(ops, kv.Delete(r.Key))
		}
		for _, op := range ops {
			if _, err := db.Txn(t.Context(), nil, []kv.Op{op}); err != nil {
				t.Fatal(err)
			}
			problems := verify(t, s)
			if len(problems) == 0 {
				t.Errorf("%s was changed or taken away, and nothing is told", r.Key)
			}
			if strings.Contains(strings.Join(problems, ""), "sesame") {
				t.Error("a value is told")
			}
			if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(r.Key, r.Value)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Moved to another organisation or name a value does not open.
	value, err := db.Get(t.Context(), secretKey(1, "a/b"))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{secretKey(2, "a/b"), secretKey(1, "c")} {
		before, err := db.Get(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(to, value.Value)}); err != nil {
			t.Fatal(err)
		}
		if problems := verify(t, s); len(problems) != 1 || !strings.HasPrefix(problems[0], to) {
			t.Errorf("a value moved to %s: %q", to, problems)
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(to, before.Value)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerifyStaged(t *testing.T) {
	s, db := verifiable(t)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(journalKey(1), []byte("x")), kv.Put(stepKey(1, "ab", 0), []byte("y")), kv.Put(stagedRoot+"z/journal", nil)}); err != nil {
		t.Fatal(err)
	}
	problems := verify(t, s)
	if len(problems) != 3 {
		t.Errorf("problems %q", problems)
	}
}
