package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/embedded/rewrite"
)

// ways are the moves from one form to another: how each begins, and the form it ends in.
var ways = []struct {
	name   string
	before func(t testing.TB, s *Store)
	begin  func(t testing.TB, s *Store)
	form   uint32
}{
	{"seal", inClear.begin, beingSealed.begin, 1},
	{"unseal", inSeal.begin, func(t testing.TB, s *Store) { sealNames(t, s, false) }, keyring.Clear},
	{"rotate", inSeal.begin, func(t testing.TB, s *Store) {
		if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}, 2},
}

// TestMoveCrash ends the process at every transaction of a move, in turn, once before and once after it is carried out.
// Everything can be read all the while, the data are sound, and the next process goes on with what is left.
func TestMoveCrash(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			dir, key := t.TempDir(), keyFile(t)
			made, err := bolt.Open(filepath.Join(dir, "made.bolt"), bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := newStore(t, made, key)
			w.before(t, s)
			all := live(t, s)
			made.Close()
			file, err := os.ReadFile(filepath.Join(dir, "made.bolt"))
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n += everyPoint {
				path := filepath.Join(dir, "influxd.bolt")
				if err := os.WriteFile(path, file, 0o600); err != nil {
					t.Fatal(err)
				}
				db, err := bolt.Open(path, bolt.Options{})
				if err != nil {
					t.Fatal(err)
				}
				w.begin(t, newStore(t, db, key))
				s := newStore(t, &crashing{Store: db, left: n / 2, carriedOut: n%2 == 1}, key)
				_, err = s.Rewrite(t.Context(), ignore)
				if err == nil {
					if n < 40 {
						t.Errorf("a move takes %d transactions: it is not the test it should be", n/2)
					}
					db.Close()
					return
				}
				if !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				s = newStore(t, db, key)
				if err := s.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				wantLived(t, s, all)
				last := rewrite.Progress{}
				term, err := s.Rewrite(t.Context(), func(r rewrite.Progress) { last = r })
				if err != nil {
					t.Fatalf("crash %d: %v", n, err)
				}
				if last.Orgs != last.AllOrgs {
					t.Errorf("crash %d: in the end %+v", n, last)
				}
				if err := s.ring.Retire(t.Context(), term); err != nil {
					t.Fatal(err)
				}
				wantForm(t, s, w.form)
				wantLived(t, s, all)
				wantNothingStaged(t, db)
				if n%16 == 0 {
					wantLastVersions(t, newStore(t, db, key), all)
				}
				db.Close()
			}
		})
	}
}

// TestMoveTurnedRound stops a sealing of names half-way, and has them unsealed again.
func TestMoveTurnedRound(t *testing.T) {
	t.Parallel()
	db, key := openKV(t), keyFile(t)
	s := newStore(t, db, key)
	all := live(t, s)
	sealNames(t, s, true)
	for n := range 8 {
		s = newStore(t, &crashing{Store: db, left: 5 + n, carriedOut: true}, key)
		if _, err := s.Rewrite(t.Context(), ignore); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		s = newStore(t, db, key)
		wantLived(t, s, all)
		sealNames(t, s, n%2 == 1)
	}
	sealNames(t, s, false)
	rewriteAll(t, s)
	wantForm(t, s, keyring.Clear)
	wantLived(t, s, all)
	wantLastVersions(t, s, all)
}

// TestMoveBesideWriters has secrets set, overwritten, deleted and read while their names go from one form to the next.
// No change that was answered is lost, and every list has what its writer put there, once.
func TestMoveBesideWriters(t *testing.T) {
	t.Parallel()
	s := newStore(t, openKV(t), keyFile(t))
	all := live(t, s)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	const writers = 4
	last := make([]map[string]secret.Value, writers)
	for w := range writers {
		wg.Go(func() {
			mine := map[string]secret.Value{}
			last[w] = mine
			prefix := fmt.Sprintf("writer-%d-", w)
			for i := 0; ctx.Err() == nil; i++ {
				c := secret.Change{Set: map[string]secret.Value{}}
				for j := range 3 {
					c.Set[fmt.Sprint(prefix, (i+j)%10)] = secret.NewValue(fmt.Append(nil, "value ", i))
				}
				if i%16 == 0 { // more than one transaction holds
					for j := range 50 {
						c.Set[fmt.Sprint(prefix, "many-", j)] = secret.NewValue(fmt.Append(nil, "value ", i))
					}
				}
				c.Delete = []string{fmt.Sprint(prefix, (i+5)%10)}
				if _, err := s.Apply(t.Context(), org, c); err != nil {
					t.Errorf("Apply: %v", err)
					return
				}
				maps.Copy(mine, c.Set)
				delete(mine, c.Delete[0])
				keys, err := s.Keys(t.Context(), org)
				if err != nil {
					t.Errorf("Keys: %v", err)
					return
				}
				ours := slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
					return !strings.HasPrefix(k, prefix)
				})
				if want := slices.Sorted(maps.Keys(mine)); !slices.Equal(ours, want) {
					t.Errorf("a list has %q, want %q", ours, want)
					return
				}
				for name, v := range mine {
					if got, err := secret.Get(t.Context(), s, org, name); err != nil || !got.Equal(v) {
						t.Errorf("Get of %q: %v", name, err)
						return
					}
				}
				if _, err := s.Info(t.Context(), org, "telltale-often"); err != nil {
					t.Errorf("Info: %v", err)
				}
				if got, err := secret.Get(t.Context(), s, otherOrg, "telltale-many-07"); err != nil ||
					string(got.Bytes()) != all[otherOrg].values["telltale-many-07"][0] {
					t.Errorf("Get: %v", err)
				}
			}
		})
	}
	for n := range 6 {
		switch n % 3 {
		case 0:
			sealNames(t, s, true)
		case 1:
			if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		case 2:
			sealNames(t, s, false)
		}
		term, err := s.Rewrite(t.Context(), ignore)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ring.Retire(t.Context(), term); err != nil {
			t.Fatal(err)
		}
		if left := s.ring.Names(); left.Moving {
			t.Errorf("after a move: %+v", left)
		}
	}
	stop()
	wg.Wait()
	for _, mine := range last {
		for name, v := range mine {
			if got, err := secret.Get(t.Context(), s, org, name); err != nil || !got.Equal(v) {
				t.Errorf("in the end, %q: %v", name, err)
			}
		}
	}
	if problems := verified(t, s); len(problems) > 0 {
		t.Errorf("what is wrong: %q", problems)
	}
}

// TestMoveDamaged has names moved past damaged records. They are named, and stay; all the others are moved, and can be
// read; when the damaged ones are put right, the move ends.
func TestMoveDamaged(t *testing.T) {
	t.Parallel()
	flip := func(rec kv.Record) kv.Op {
		value := bytes.Clone(rec.Value)
		value[len(value)-1] ^= 1
		return kv.Put(rec.Key, value)
	}
	remove := func(rec kv.Record) kv.Op { return kv.Delete(rec.Key) }
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := newStore(t, openKV(t), keyFile(t))
			w.before(t, s)
			all := live(t, s)
			damaged := []kv.Record{}
			damage := func(name string, kind records.Kind, how func(kv.Record) kv.Op) {
				t.Helper()
				rec, err := s.kv.Get(t.Context(), keyOf(t, s, org, name, kind))
				if err == nil {
					_, err = s.kv.Txn(t.Context(), nil, []kv.Op{how(rec)})
				}
				if err != nil {
					t.Fatal(err)
				}
				damaged = append(damaged, rec)
			}
			damage("telltale-many-07", records.Value, flip)
			damage("telltale-often", records.Version(2), flip)
			damage("telltale-once", records.Meta, flip)
			if w.name != "seal" { // where names are sealed
				damage("telltale-many-11", records.Listed, flip)
				damage("telltale-many-12", records.Listed, remove)
				// What nothing leads to any more is no reason to stop.
				orphan := keyOf(t, s, org, "telltale-nobody", records.Version(3))
				overwrite(t, s.kv, orphan, []byte("whatever"))
			}
			w.begin(t, s)
			from := records.Form(s.ring.Names().From)
			var told rewrite.Progress
			_, err := s.Rewrite(t.Context(), func(p rewrite.Progress) { told = p })
			if err == nil {
				t.Fatal("it went over a record that does not open")
			}
			if !s.ring.Names().Moving || told.Damaged < len(damaged) || told.Orgs != told.AllOrgs {
				t.Errorf("told of %+v; the move is under way: %v", told, s.ring.Names().Moving)
			}
			if got, err := secret.Get(t.Context(), s, org, "telltale-often"); err != nil ||
				string(got.Bytes()) != "value 3" {
				t.Errorf("another secret meanwhile: %v", err)
			}
			left := map[string]bool{} // where they were
			for _, prefix := range records.Prefixes(org, from) {
				recs, err := s.kv.List(t.Context(), prefix, "", 1000)
				if err != nil {
					t.Fatal(err)
				}
				for _, rec := range recs {
					left[rec.Key] = true
				}
			}
			if len(left) != told.Damaged {
				t.Errorf("%d records are where they were, of which %d are told", len(left), told.Damaged)
			}
			for _, rec := range damaged {
				// What is removed is missed by those whose name it had.
				if _, gone := s.kv.Get(t.Context(), rec.Key); gone == nil && (!left[rec.Key] ||
					!strings.Contains(err.Error(), fmt.Sprintf("%q", rec.Key))) {
					t.Errorf("%q is not told", rec.Key)
				}
				overwrite(t, s.kv, rec.Key, rec.Value)
			}
			term, err := s.Rewrite(t.Context(), ignore)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.ring.Retire(t.Context(), term); err != nil {
				t.Fatal(err)
			}
			wantForm(t, s, w.form)
			wantLived(t, s, all)
		})
	}
}

// TestNoNameInTheFile looks for names in the bytes of a file whose secrets have lived.
func TestNoNameInTheFile(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]form{"sealed": inSeal, "clear": inClear} {
		path := filepath.Join(t.TempDir(), "influxd.bolt")
		db, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		key := keyFile(t)
		s := newStore(t, db, key)
		f.begin(t, s)
		live(t, s)
		// A large change that is still under way, and a rotation that is.
		onto(s, &crashing{Store: db, left: 4, carriedOut: true})
		change := secret.Change{Set: map[string]secret.Value{}}
		for i := range 200 {
			change.Set[fmt.Sprint("telltale-staged-", i)] = secret.NewValue([]byte("x"))
		}
		if _, err := s.Apply(t.Context(), org, change); err != nil { // it is committed
			t.Fatal(err)
		}
		onto(s, db)
		if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		s = newStore(t, &crashing{Store: db, left: 20, carriedOut: true}, key)
		if _, err := s.Rewrite(t.Context(), ignore); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		db.Close()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := bytes.Contains(b, []byte("telltale")), name == "clear"; got != want {
			t.Errorf("%s: a name is in the file: %v, want %v", name, got, want)
		}
	}
}
