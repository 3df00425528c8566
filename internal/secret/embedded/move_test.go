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

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/embedded/rewrite"
)

// lived is what is there of an organisation's secrets after some life: of every secret its values, oldest first, and
// whether it has been deleted.
type lived struct {
	values  map[string][]string
	deleted map[string]bool
}

// live fills a store with the life of two organisations: new values, deletions, restored versions, large changes.
func live(t *testing.T, s *Store) map[id.ID]*lived {
	t.Helper()
	all := map[id.ID]*lived{}
	for _, o := range []id.ID{org, otherOrg} {
		l := &lived{map[string][]string{}, map[string]bool{}}
		all[o] = l
		set := func(pairs ...string) {
			t.Helper()
			if _, err := s.Apply(t.Context(), o, secret.Change{Set: setOf(pairs...), By: "ann"}); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(pairs); i += 2 {
				l.values[pairs[i]], l.deleted[pairs[i]] = append(l.values[pairs[i]], pairs[i+1]), false
			}
		}
		remove := func(name string) {
			t.Helper()
			if _, err := s.Apply(t.Context(), o, secret.Change{Delete: []string{name}, By: "bob"}); err != nil {
				t.Fatal(err)
			}
			l.deleted[name] = true
		}
		var many []string
		for i := range 60 {
			many = append(many, fmt.Sprintf("telltale-many-%02d", i), fmt.Sprint("value ", i, " of ", o))
		}
		set(many...)
		set("telltale-once", "1")
		for i := range 4 {
			set("telltale-often", fmt.Sprint("value ", i))
		}
		if o == otherOrg { // more than one transaction holds
			for i := range 2 {
				set("telltale-large", strings.Repeat("x", 900_000+i))
			}
		}
		set("telltale/gone ключ", "1")
		remove("telltale/gone ключ")
		set("telltale-back", "1")
		remove("telltale-back")
		set("telltale-back", "2")
		set("telltale-again", "1")
		set("telltale-again", "2")
		if _, err := s.Restore(t.Context(), o, "telltale-again", 1, "bob"); err != nil {
			t.Fatal(err)
		}
		l.values["telltale-again"] = append(l.values["telltale-again"], "1")
		if err := s.Describe(t.Context(), o, "telltale-once", secret.Description{Text: "described"}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantLived looks for all of it, and for nothing else, and has the records verified.
func wantLived(t *testing.T, s *Store, all map[id.ID]*lived) {
	t.Helper()
	for o, l := range all {
		names, gone := []string{}, []string{}
		for _, name := range slices.Sorted(maps.Keys(l.values)) {
			if l.deleted[name] {
				gone = append(gone, name)
			} else {
				names = append(names, name)
			}
		}
		if keys, err := s.Keys(t.Context(), o); err != nil || !slices.Equal(keys, names) {
			t.Fatalf("organisation %s has the keys %q, %v, want %q", o, keys, err, names)
		}
		deleted, err := s.Deleted(t.Context(), o)
		var were []string
		for _, i := range deleted {
			were = append(were, i.Key)
		}
		if err != nil || !slices.Equal(were, gone) {
			t.Fatalf("organisation %s: deleted are %q, %v, want %q", o, were, err, gone)
		}
		for name, values := range l.values {
			i, err := s.Info(t.Context(), o, name)
			if err != nil || i.Version != len(values) || len(i.Versions) != len(values) {
				t.Fatalf("%q of %s: %+v, %v", name, o, i, err)
			}
			got, err := secret.Get(t.Context(), s, o, name)
			if l.deleted[name] != errs.Is(err, errs.NotFound) ||
				!l.deleted[name] && string(got.Bytes()) != values[len(values)-1] {
				t.Fatalf("%q of %s: a value of %d bytes, %v", name, o, got.Len(), err)
			}
		}
		if i, err := s.Info(t.Context(), o, "telltale-once"); err != nil || i.Text != "described" {
			t.Fatalf("%+v, %v", i, err)
		}
	}
	if problems := verified(t, s); len(problems) > 0 {
		t.Fatalf("what is wrong: %q", problems)
	}
}

// wantForm looks whether every record is of the form, and no key names a secret where it is a sealed one.
func wantForm(t *testing.T, s *Store, want uint32) {
	t.Helper()
	if got := s.ring.Names(); got != (keyring.Names{Form: want}) {
		t.Fatalf("the keyring has %+v, want form %d", got, want)
	}
	n := 0
	for _, root := range []string{records.Root, records.TrashRoot} {
		recs, err := s.kv.List(t.Context(), root, "", 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			n++
			if place, _, err := records.Parse(rec.Key); err == nil && uint32(place.Form) != want ||
				want != keyring.Clear && strings.Contains(rec.Key, "telltale") {
				t.Errorf("record %q is not of form %d", rec.Key, want)
			}
		}
	}
	if n < 300 {
		t.Errorf("there are only %d records", n)
	}
}

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

// wantLastVersions restores what came before the newest value: the earlier ones are still what they were.
func wantLastVersions(t *testing.T, s *Store, all map[id.ID]*lived) {
	t.Helper()
	for o, l := range all {
		for name, values := range l.values {
			if len(values) < 2 {
				continue
			}
			if _, err := s.Restore(t.Context(), o, name, len(values)-1, "eve"); err != nil {
				t.Fatalf("restoring %q: %v", name, err)
			}
			if got, err := secret.Get(t.Context(), s, o, name); err != nil ||
				string(got.Bytes()) != values[len(values)-2] {
				t.Errorf("%q restored: %d bytes, %v", name, got.Len(), err)
			}
		}
		if _, err := s.Restore(t.Context(), o, "telltale/gone ключ", 0, "eve"); err != nil {
			t.Error(err)
		}
	}
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
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
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
