package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/dated"
	"strongroom/internal/secret/embedded/records"
)

func wantDated(t *testing.T, s *Store, when string, want ...id.ID) {
	t.Helper()
	if got, err := s.DatedOrgs(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: organisations with dates: %v, %v, want %v", when, got, err, want)
	}
}

// TestDates gives secrets dates, and takes them: who looks for what is due reads those organisations alone.
func TestDates(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		now := clocked(s, 3)
		apply(t, s, secret.Change{Set: setOf("a", "1", "b", "2", "c", "3")})
		if _, err := s.Apply(t.Context(), otherOrg, secret.Change{Set: setOf("a", "1")}); err != nil {
			t.Fatal(err)
		}
		wantDated(t, s, "without dates")
		at := now.Add(time.Hour).UTC().Truncate(time.Millisecond)
		describe := func(name string, d secret.Description) {
			t.Helper()
			if err := s.Describe(t.Context(), org, name, d); err != nil {
				t.Fatal(err)
			}
		}
		infos := func(want ...string) {
			t.Helper()
			got, err := s.DatedInfos(t.Context(), org)
			var names []string
			for _, i := range got {
				if names = append(names, i.Key); !i.Expires.Equal(at) || i.Updated.IsZero() {
					t.Errorf("%+v, want the date %v", i, at)
				}
			}
			if slices.Sort(names); err != nil || !slices.Equal(names, want) {
				t.Errorf("secrets with dates: %q, %v, want %q", names, err, want)
			}
		}
		describe("a", secret.Description{Text: `a text that has "expires": in it`})
		wantDated(t, s, "with a text")
		describe("b", secret.Description{Expires: at})
		describe("c", secret.Description{Expires: at})
		wantDated(t, s, "with two dates", org)
		infos("b", "c")
		apply(t, s, secret.Change{Delete: []string{"b"}, Set: setOf("c", "another")})
		infos("c")
		describe("c", secret.Description{})
		infos()
		wantDated(t, s, "while a deleted secret has one", org)
		if _, err := s.Restore(t.Context(), org, "b", 0, ""); err != nil {
			t.Fatal(err)
		}
		infos("b")

		// Of data that an older influxd has written to, or written alone.
		if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Delete(records.Dated(org))}); err != nil {
			t.Fatal(err)
		}
		wantDated(t, s, "soon after all were looked through")
		*now = now.Add(dated.Every)
		wantDated(t, s, "a day later", org)
	})
}

// TestDatesEnd ends what has dates: the last date is taken, or the organisation goes.
func TestDatesEnd(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		at := time.Now().Add(time.Hour)
		for what, end := range map[string]func() error{
			"the date":         func() error { return s.Describe(t.Context(), org, "a", secret.Description{}) },
			"the organisation": func() error { return s.Purge(t.Context(), org) },
		} {
			apply(t, s, secret.Change{Set: setOf("a", "1")})
			if err := s.Describe(t.Context(), org, "a", secret.Description{Expires: at}); err != nil {
				t.Fatal(err)
			}
			wantDated(t, s, "before the end of "+what, org)
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if infos, err := s.DatedInfos(t.Context(), org); err != nil || len(infos) > 0 {
				t.Errorf("after the end of %s: %v, %v", what, infos, err)
			}
			wantDated(t, s, "after the end of "+what)
		}
	})
}

// TestDatesDamaged damages the metadata of one of many secrets. Whoever looks is told its name, and what is known of the
// others, and the organisation is found also where it has no record yet.
func TestDatesDamaged(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		now := clocked(s, 3)
		apply(t, s, secret.Change{Set: setOf("a", "1", "b", "2", "c", "3")})
		wantDated(t, s, "whole")
		overwrite(t, s.kv, keyOf(t, s, org, "b", records.Meta), []byte("damaged"))
		*now = now.Add(dated.Every)
		wantDated(t, s, "damaged", org)
		var unread *secret.Unread
		wants := func(dated ...string) {
			t.Helper()
			all, err := s.Infos(t.Context(), org, secret.Page{})
			if !errors.As(err, &unread) || !slices.Equal(unread.Keys, []string{"b"}) || len(all) != 2 {
				t.Errorf("of all: %v, %v", all, err)
			}
			infos, err := s.DatedInfos(t.Context(), org)
			if !errs.Is(err, errs.Internal) || !strings.Contains(errs.Message(err), `"b"`) || !errors.As(err, &unread) ||
				!slices.Equal(unread.Keys, []string{"b"}) {
				t.Errorf("metadata that do not open: %v", err)
			}
			var got []string
			for _, i := range infos {
				got = append(got, i.Key)
			}
			if slices.Sort(got); !slices.Equal(got, dated) {
				t.Errorf("of the others are found %q, want %q", got, dated)
			}
		}
		wants()
		for _, name := range []string{"a", "c"} {
			if err := s.Describe(t.Context(), org, name, secret.Description{Expires: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		wants("a", "c")
	})
}

// TestDatesBesideDamage has an organisation whose head does not parse: what is due in others is found, and there it is
// an error.
func TestDatesBesideDamage(t *testing.T) {
	t.Parallel()
	s := newStore(t, openKV(t), keyFile(t))
	now := clocked(s, 3)
	for _, o := range []id.ID{org, otherOrg} {
		if _, err := s.Apply(t.Context(), o, secret.Change{Set: setOf("a", "1")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Describe(t.Context(), otherOrg, "a", secret.Description{Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Put(records.Head(org), []byte("damaged"))}); err != nil {
		t.Fatal(err)
	}
	wantDated(t, s, "beside a damaged one", org, otherOrg)
	if got, err := s.DatedInfos(t.Context(), otherOrg); err != nil || len(got) != 1 {
		t.Errorf("of the sound one: %v, %v", got, err)
	}
	if got, err := s.DatedInfos(t.Context(), org); err == nil {
		t.Errorf("of the damaged one: %v", got)
	}
}

// listing is an engine that does something before one of the lists of metadata.
type listing struct {
	kv.Store
	prefix string
	before int // how many lists come before that
	do     func()
}

func (l *listing) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if strings.HasPrefix(prefix, l.prefix) && l.do != nil {
		if l.before--; l.before < 0 {
			do := l.do
			l.do = nil
			do()
		}
	}
	return l.Store.List(ctx, prefix, after, limit)
}

// TestDatesWhileNamesMove has the names go from one form to another between two pages of a look, on this server or on
// another one: each secret that has a date is found, and once.
func TestDatesWhileNamesMove(t *testing.T) {
	t.Parallel()
	moves := map[string]func(t *testing.T, s *Store){
		"moved": func(t *testing.T, s *Store) { rewriteAll(t, s) },
		"both": func(t *testing.T, s *Store) {
			turn(t, s, true)
			turn(t, s, false)
		},
		"back": func(t *testing.T, s *Store) {
			turn(t, s, false)
			turn(t, s, true)
		},
	}
	for _, f := range []form{inClear, inSeal, beingSealed, beingUnsealed} {
		for what, move := range moves {
			for before := range 3 {
				for _, several := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %s before list %d, by another server %t", f.name, what, before, several),
						func(t *testing.T) {
							testDatesWhileNamesMove(t, f, move, before, several)
						})
				}
			}
		}
	}
}

// turn has the names in a form, all of them.
func turn(t *testing.T, s *Store, sealed bool) {
	t.Helper()
	rewriteAll(t, s)
	if _, err := s.ring.SealNames(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	rewriteAll(t, s)
}

func testDatesWhileNamesMove(t *testing.T, f form, move func(*testing.T, *Store), before int, several bool) {
	db, key := openKV(t), keyFile(t)
	open := func() *Store {
		ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: key, Shared: several})
		if err != nil {
			t.Fatal(err)
		}
		return New(Config{KV: db, Keyring: ring, History: 10})
	}
	s := open()
	at := time.Now().Add(time.Hour)
	var want []string
	for n := range 4 {
		name := fmt.Sprint("of ", n)
		apply(t, s, secret.Change{Set: setOf(name, "1")})
		if err := s.Describe(t.Context(), org, name, secret.Description{Expires: at}); err != nil {
			t.Fatal(err)
		}
		if want = append(want, name); n == 1 {
			f.begin(t, s)
		}
	}
	mover := New(Config{KV: db, Keyring: s.ring, History: 10})
	if several {
		mover = open()
	}
	onto(s, &listing{Store: db, prefix: records.Prefix(org), before: before, do: func() {
		move(t, mover)
	}})
	got, err := s.DatedInfos(t.Context(), org)
	var names []string
	for _, i := range got {
		names = append(names, i.Key)
	}
	if slices.Sort(names); err != nil || !slices.Equal(names, want) {
		t.Errorf("found were %q, %v, want %q", names, err, want)
	}
	wantDated(t, s, "after the look", org)
}
