package embedded

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// TestPiece reads all values again and again: they are opened one by one once for each state of the organisation and
// each term, and are never of another.
func TestPiece(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, s *Store, other *Store) {
		engine := &counted{Store: s.kv, prefix: records.Of(org, records.Form(s.ring.Names().Form), records.Value)}
		onto(s, engine)
		want := setOf()
		for i := range 3 * manyKeys {
			want[fmt.Sprintf("key-%02d", i)] = secret.NewValue(fmt.Appendf(nil, "value %d", i))
		}
		apply(t, s, secret.Change{Set: want})
		read := func(q secret.Query, opened bool) secret.Snapshot {
			t.Helper()
			before := engine.reads.Load()
			snap, err := s.Read(t.Context(), org, q)
			if err != nil {
				t.Fatal(err)
			}
			if now := engine.reads.Load() > before; now != opened {
				t.Errorf("the records were read: %v, want %v", now, opened)
			}
			for key, got := range snap.Secrets {
				if !got.Value.Equal(want[key]) || got.Updated.IsZero() || q.Versions && (got.Version == 0 ||
					got.Created.IsZero() || got.Updated.Before(got.Created)) {
					t.Errorf("%s: %q, %+v", key, got.Value.Bytes(), got)
				}
			}
			if q.Want == nil && len(snap.Secrets) != len(want) {
				t.Errorf("%d secrets, want %d", len(snap.Secrets), len(want))
			}
			if names := snap.Names(); !slices.IsSorted(names) || len(names) != len(snap.Secrets) {
				t.Errorf("the names are %q", names)
			}
			return snap
		}
		all, versions := secret.Query{}, secret.Query{Versions: true}
		read(all, true)
		first := read(all, false)
		read(versions, true) // the versions are not known yet
		read(versions, false)
		some := read(secret.Query{Want: func(key string) bool { return key < "key-02" }, Versions: true}, false)
		if !slices.Equal(some.Names(), []string{"key-00", "key-01"}) || len(some.Secrets) != 2 {
			t.Errorf("of those that are wanted there are %q", some.Names())
		}

		// What one reader does with what it got is its own affair.
		delete(first.Secrets, "key-00")
		clear(first.Secrets["key-01"].Value.Bytes())
		read(all, false)

		// A change, by this server and by another of the same data.
		want["key-00"] = secret.NewValue([]byte("other"))
		apply(t, s, secret.Change{Set: setOf("key-00", "other")})
		read(all, true)
		read(all, false)
		want["key-01"] = secret.NewValue([]byte("from elsewhere"))
		apply(t, other, secret.Change{Set: setOf("key-01", "from elsewhere")})
		read(all, true)
		delete(want, "key-02")
		apply(t, s, secret.Change{Delete: []string{"key-02"}})
		read(versions, true)
		read(versions, false)

		// Another term, and the end of the keys.
		if _, err := s.ring.Rotate(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		read(all, true)
		read(all, s.ring.Names().Moving) // while names move, every record is looked for in two places
		s.ring.Close()
		if snap, err := s.Read(t.Context(), org, all); err == nil {
			t.Errorf("%d values are given out without the keys", len(snap.Secrets))
		}
	}
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			db, key := openKV(t), keyFile(t)
			s := newStore(t, db, key)
			f.begin(t, s)
			test(t, s, newStore(t, db, key))
		})
	}
}

// TestPieceEnds: what is kept of an organisation goes with it, whoever ends it, and what comes under its ID after that is
// read from the records, as it is after a restore.
func TestPieceEnds(t *testing.T) {
	t.Parallel()
	db, key := openKV(t), keyFile(t)
	s, other := newStore(t, db, key), newStore(t, db, key)
	engine := &counted{Store: s.kv, prefix: records.Of(org, records.Form(s.ring.Names().Form), records.Value)}
	onto(s, engine)
	var rev int64
	set := func(value string) {
		t.Helper()
		c := secret.Change{Set: map[string]secret.Value{}}
		for i := range 2 * manyKeys {
			c.Set[fmt.Sprint("k", i)] = secret.NewValue([]byte(value))
		}
		apply(t, s, c)
		at, err := s.head(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		rev = at.rev
	}
	read := func(value string, opened bool) {
		t.Helper()
		before := engine.reads.Load()
		snap, err := s.Read(t.Context(), org, secret.Query{})
		if err != nil {
			t.Fatal(err)
		}
		want := 2 * manyKeys
		if value == "" {
			want = 0
		}
		if len(snap.Secrets) != want {
			t.Errorf("%d secrets, want %d", len(snap.Secrets), want)
		}
		for name, got := range snap.Secrets {
			if string(got.Value.Bytes()) != value {
				t.Errorf("%s is %q, want %q", name, got.Value.Bytes(), value)
			}
		}
		if now := engine.reads.Load() > before; now != opened {
			t.Errorf("the records were read: %v, want %v", now, opened)
		}
	}
	kept := func(want bool) {
		t.Helper()
		if _, is := s.lists.Names(org, rev); is != want {
			t.Errorf("there is something in memory: %v, want %v", is, want)
		}
	}
	set("first")
	read("first", true)
	read("first", false)
	kept(true)
	if err := s.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	kept(false)
	read("", false)

	set("second")
	read("second", true)
	read("second", false)
	if err := other.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	read("", false)
	kept(false)

	// It ends while somebody reads it.
	set("third")
	engine.hook = func() {
		if err := purge.Begin(t.Context(), db, org); err != nil {
			t.Error(err)
		}
	}
	read("", true)
	kept(false)

	set("fourth")
	read("fourth", true)
	read("fourth", false)
	if err := commitlog.RaiseVersions(t.Context(), db, time.Now()); err != nil {
		t.Fatal(err)
	}
	read("fourth", true)
}

// TestPieceTooLong: an organisation with more than is kept is read from its records each time.
func TestPieceTooLong(t *testing.T) {
	t.Parallel()
	s := newStore(t, openKV(t), keyFile(t))
	engine := &counted{Store: s.kv, prefix: records.Of(org, records.Form(s.ring.Names().Form), records.Value)}
	onto(s, engine)
	c := secret.Change{Set: map[string]secret.Value{}}
	for i := range 2 * manyKeys {
		c.Set[fmt.Sprint("k", i)] = secret.NewValue(bytes.Repeat([]byte("v"), content.MaxPiece/manyKeys))
	}
	apply(t, s, c)
	for range 2 {
		before := engine.reads.Load()
		if snap, err := s.Read(t.Context(), org, secret.Query{}); err != nil || len(snap.Secrets) != 2*manyKeys {
			t.Fatalf("%d, %v", len(snap.Secrets), err)
		}
		if engine.reads.Load() == before {
			t.Error("the values came from memory")
		}
	}
}
