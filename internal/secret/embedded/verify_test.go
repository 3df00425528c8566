package embedded

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
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
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
		change := secret.Change{Set: map[string]secret.Value{"a/b": secret.NewValue([]byte("sesame")),
			"c": secret.NewValue(nil)}}
		if _, err := s.Apply(t.Context(), org, change); err != nil {
			t.Fatal(err)
		}
	}
	return s, db
}

func verified(t testing.TB, s *Store) (problems []string) {
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
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) { testVerifyFindsEveryLoss(t, f) })
	}
}

func testVerifyFindsEveryLoss(t *testing.T, f form) {
	s, db := verifiable(t)
	f.begin(t, s)
	if problems := verified(t, s); len(problems) > 0 {
		t.Fatalf("whole data: %q", problems)
	}
	recs, err := db.List(t.Context(), records.Root, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		changed := bytes.Clone(r.Value)
		broken := kv.Put(r.Key, append(changed, 'x'))
		place, kind, err := records.Parse(r.Key)
		if err == nil && kind == records.Listed && !place.Form.Sealed() { // what is in it means nothing
			broken = kv.Delete(r.Key)
		}
		ops := []kv.Op{broken}
		if err != nil || kind != records.Meta { // the first versions made none
			ops = append(ops, kv.Delete(r.Key))
		}
		for _, op := range ops {
			if _, err := db.Txn(t.Context(), nil, []kv.Op{op}); err != nil {
				t.Fatal(err)
			}
			problems := verified(t, s)
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
	value, err := db.Get(t.Context(), keyOf(t, s, 1, "a/b", records.Value))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{keyOf(t, s, 2, "a/b", records.Value), keyOf(t, s, 1, "c", records.Value)} {
		before, err := db.Get(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(to, value.Value)}); err != nil {
			t.Fatal(err)
		}
		if problems := verified(t, s); len(problems) != 1 || !strings.HasPrefix(problems[0], to) {
			t.Errorf("a value moved to %s: %q", to, problems)
		}
		if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(to, before.Value)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerifyStaged(t *testing.T) {
	s, db := verifiable(t)
	if _, err := db.Txn(t.Context(), nil, []kv.Op{kv.Put(commitlog.Key(1), []byte("x")),
		kv.Put(commitlog.Root+id.ID(1).String()+"/ab/000000", []byte("y")),
		kv.Put(commitlog.Root+"z/journal", nil)}); err != nil {
		t.Fatal(err)
	}
	problems := verified(t, s)
	if len(problems) != 4 { // the two of the change, the one of nobody, and the head that knows of none
		t.Errorf("problems %q", problems)
	}
}

// TestVerifyNames puts records of names in each other's places and takes some away: each is told by its key.
func TestVerifyNames(t *testing.T) {
	s := newStore(t, openKV(t), keyFile(t))
	inSeal.begin(t, s)
	for _, o := range []id.ID{org, otherOrg} {
		for _, c := range []secret.Change{{Set: setOf("a", "1", "b", "1", "gone", "1", "gone too", "1")},
			{Delete: []string{"gone", "gone too"}}} {
			if _, err := s.Apply(t.Context(), o, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if problems := verified(t, s); len(problems) > 0 {
		t.Fatalf("whole data: %q", problems)
	}
	get := func(key string) kv.Record {
		t.Helper()
		rec, err := s.kv.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	m, err := s.Info(t.Context(), org, "gone")
	if err != nil {
		t.Fatal(err)
	}
	deleted := records.Trash(m.Deleted.UnixMilli())
	a, b := get(keyOf(t, s, org, "a", records.Listed)), get(keyOf(t, s, org, "b", records.Listed))
	gone := get(keyOf(t, s, org, "gone", deleted))
	// A name that is sealed as it should be, of an index that is another's.
	at, err := s.from.Places(org, "a", s.ring.Names())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := s.ring.Seal(org, at.Now.Slot(records.Listed).As, records.EncodeName("c"))
	if err != nil {
		t.Fatal(err)
	}
	later := at.Now
	later.Name = strings.TrimPrefix(gone.Key[strings.Index(gone.Key, "#"):], "#1/")
	for name, tt := range map[string]struct {
		ops  []kv.Op
		told []string
		list bool // goes on
	}{
		"one name in another's place": {[]kv.Op{kv.Put(a.Key, b.Value)},
			[]string{a.Key, keyOf(t, s, org, "a", records.Value)}, false},
		"two that are swapped": {[]kv.Op{kv.Put(a.Key, b.Value), kv.Put(b.Key, a.Value)},
			[]string{a.Key, b.Key}, false},
		"another organisation's": {[]kv.Op{kv.Put(a.Key,
			get(keyOf(t, s, otherOrg, "a", records.Listed)).Value)}, []string{a.Key}, false},
		"a deleted one in the list": {[]kv.Op{kv.Put(a.Key, gone.Value)}, []string{a.Key}, false},
		"a name of another index": {[]kv.Op{kv.Put(a.Key, forged)},
			[]string{a.Key, keyOf(t, s, org, "a", records.Value)}, true},
		"none": {[]kv.Op{kv.Delete(a.Key)},
			[]string{keyOf(t, s, org, "a", records.Value)}, true},
		"none of a deleted one": {[]kv.Op{kv.Delete(gone.Key)},
			[]string{keyOf(t, s, org, "gone", records.Meta)}, true},
		"a deletion at another time": {[]kv.Op{kv.Delete(gone.Key), kv.Put(later.Slot(records.Trash(1)).Key,
			gone.Value)}, []string{later.Slot(records.Trash(1)).Key}, true},
		"a name in clear among the index": {[]kv.Op{kv.Put(records.Head(org)+"/c", nil)},
			[]string{records.Head(org) + "/c"}, true},
	} {
		var undo []kv.Op
		for _, op := range tt.ops {
			rec, err := s.kv.Get(t.Context(), op.Key)
			if err == nil {
				undo = append(undo, kv.Put(op.Key, rec.Value))
			} else {
				undo = append(undo, kv.Delete(op.Key))
			}
		}
		if _, err := s.kv.Txn(t.Context(), nil, tt.ops); err != nil {
			t.Fatal(err)
		}
		problems := verified(t, s)
		for _, key := range tt.told {
			if !strings.Contains(strings.Join(problems, "\n"), key+": ") {
				t.Errorf("%s: %s is not told of: %q", name, key, problems)
			}
		}
		s.lists.Drop(org)
		if keys, err := s.Keys(t.Context(), org); (err == nil) != tt.list ||
			err != nil && !strings.Contains(err.Error(), tt.told[0]) && !strings.Contains(err.Error(), tt.told[1]) {
			t.Errorf("%s: a list of %q, %v", name, keys, err)
		}
		// Who knows the name has the value, and setting it anew puts it right.
		if v, err := secret.Get(t.Context(), s, org, "a"); err != nil || string(v.Bytes()) != "1" {
			t.Errorf("%s: %v", name, err)
		}
		if len(tt.ops) == 1 && tt.ops[0].Key == a.Key {
			apply(t, s, secret.Change{Set: setOf("a", "1")})
			if problems := verified(t, s); len(problems) > 0 {
				t.Errorf("%s, and set anew: %q", name, problems)
			}
		}
		if _, err := s.kv.Txn(t.Context(), nil, undo); err != nil {
			t.Fatal(err)
		}
	}
}
