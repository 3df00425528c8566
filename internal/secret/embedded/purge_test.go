package embedded

import (
	"context"
	"fmt"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// small is an engine that refuses what would keep others waiting.
type small struct{ kv.Store }

func (s small) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	for _, op := range ops {
		if op.Kind == kv.OpDeletePrefix {
			return 0, fmt.Errorf("%s: as many records as there are, in one transaction", op.Key)
		}
	}
	return s.Store.Txn(ctx, conds, ops)
}

// TestPurgeCrash ends the process at each transaction of a purge. Either nothing has happened, or nothing is left for
// anybody: not for readers, nor a check, nor who sets secrets of the same names; and the next start removes the rest.
func TestPurgeCrash(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			for n, ended := 0, false; !ended; n++ {
				for _, carriedOut := range []bool{false, true} {
					ended = purgeCrash(t, f, n, carriedOut)
				}
				if n > 100 {
					t.Fatal("the purge never ends")
				}
			}
		})
	}
}

// purgeCrash reports whether the purge came to its end.
func purgeCrash(t *testing.T, f form, n int, carriedOut bool) (ended bool) {
	t.Helper()
	db, key := openKV(t), keyFile(t)
	s := newStore(t, db, key)
	f.begin(t, s)
	c := secret.Change{Set: map[string]secret.Value{}}
	for i := range 100 {
		c.Set[fmt.Sprint("key ", i)] = secret.NewValue([]byte("value"))
	}
	apply(t, s, c)
	apply(t, s, secret.Change{Set: setOf("key 1", "another")})
	apply(t, s, secret.Change{Delete: []string{"key 2", "key 3"}})
	if _, err := s.Apply(t.Context(), otherOrg, c); err != nil {
		t.Fatal(err)
	}
	crash := &crashing{Store: small{db}, carriedOut: carriedOut, left: n}
	onto(s, crash)
	ended = s.Purge(t.Context(), org) == nil
	if !ended && !crash.dead {
		t.Fatal("the purge failed by itself")
	}

	what := fmt.Sprintf("crash at transaction %d, carried out %v", n, carriedOut)
	s = newStore(t, db, key)
	orgs, err := s.Verify(t.Context(), func(key, wrong string) { t.Errorf("%s: %q: %s", what, key, wrong) })
	if err != nil {
		t.Fatal(err)
	}
	names, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 && !carriedOut {
		if len(names) != 98 || len(orgs) != 2 {
			t.Errorf("%s: %d names, %d organisations", what, len(names), len(orgs))
		}
		return ended
	}
	if len(orgs) != 1 {
		t.Errorf("%s: a check finds %d organisations", what, len(orgs))
	}
	wantContent(t, s, nil)
	if deleted, err := s.Deleted(t.Context(), org, secret.Page{}); err != nil || len(deleted) != 0 {
		t.Errorf("%s: %d deleted secrets, %v", what, len(deleted), err)
	}
	if _, err := s.Info(t.Context(), org, "key 1"); err == nil {
		t.Errorf("%s: a secret is known still", what)
	}
	if n%2 == 0 { // somebody is faster than the next start
		apply(t, s, secret.Change{Set: setOf("key 1", "new", "key 2", "life")})
		wantContent(t, s, setOf("key 1", "new", "key 2", "life"))
		if info, err := s.Info(t.Context(), org, "key 1"); err != nil || len(info.Versions) != 1 {
			t.Errorf("%s: %d versions of a new secret, %v", what, len(info.Versions), err)
		}
		if _, err := s.Verify(t.Context(), func(key, wrong string) {
			t.Errorf("%s, after a change: %q: %s", what, key, wrong)
		}); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := s.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, prefix := range Prefixes {
			for _, below := range []string{"", org.String()} {
				recs, err := db.List(t.Context(), prefix+below, "", 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, rec := range recs {
					if below != "" || prefix == "purging/" {
						t.Errorf("%s: %q is left", what, rec.Key)
					}
				}
			}
		}
	}
	if n := len(keysOfOrg(t, s, otherOrg)); n != 100 {
		t.Errorf("%s: another organisation has %d names left", what, n)
	}
	return ended
}

func keysOfOrg(t *testing.T, s *Store, org id.ID) []string {
	t.Helper()
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
