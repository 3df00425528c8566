package embedded

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// counted counts the reads of records that begin so.
type counted struct {
	kv.Store
	prefix string
	reads  atomic.Int64
	hook   func() // before the next of them, once
}

func (c *counted) note(key string) {
	if !strings.HasPrefix(key, c.prefix) {
		return
	}
	c.reads.Add(1)
	if h := c.hook; h != nil {
		c.hook = nil
		h()
	}
}

func (c *counted) Get(ctx context.Context, key string) (kv.Record, error) {
	c.note(key)
	return c.Store.Get(ctx, key)
}

func (c *counted) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	c.note(prefix)
	return c.Store.List(ctx, prefix, after, limit)
}

// TestVersionsKnown reads all values with their versions again and again: what is known of the versions is read once
// for each state of the organisation, and is never of another.
func TestVersionsKnown(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, s *Store) {
		engine := &counted{Store: s.kv, prefix: records.Of(org, records.Form(s.ring.Names().Form), records.Meta)}
		onto(s, engine)
		read := func(keys []string, key string, version int) {
			t.Helper()
			got, err := s.Read(t.Context(), org, secret.Query{Keys: keys, Versions: true})
			if err != nil {
				t.Fatal(err)
			}
			if one := got.Secrets[key]; one.Version != version || one.Created.IsZero() ||
				one.Updated.Before(one.Created) {
				t.Errorf("%s: %+v, want version %d", key, one, version)
			}
		}
		names := []string{}
		for i := range 3 * manyKeys {
			names = append(names, string(rune('a'+i)), strings.Repeat(string(rune('a'+i)), 2))
		}
		c := secret.Change{Set: map[string]secret.Value{}}
		for _, name := range names {
			c.Set[name] = secret.NewValue([]byte("1"))
		}
		apply(t, s, c)
		read(nil, "a", 1)
		before := engine.reads.Load()
		for range 3 {
			read(nil, "a", 1)
			read([]string{"bb", "a"}, "bb", 1)
		}
		if n := engine.reads.Load() - before; n != 0 {
			t.Errorf("metadata that are known were read %d times", n)
		}
		apply(t, s, secret.Change{Set: setOf("a", "2")})
		read(nil, "a", 2)
		read([]string{"a"}, "a", 2)
		apply(t, s, secret.Change{Delete: []string{"a"}})
		if got, err := s.Read(t.Context(), org, secret.Query{Versions: true}); err != nil ||
			len(got.Secrets) != len(names)-1 {
			t.Errorf("%d secrets, %v", len(got.Secrets), err)
		}
		apply(t, s, secret.Change{Set: setOf("a", "3")})
		read(nil, "a", 3)
	}
	for _, f := range []form{inClear, inSeal} { // while names move, every record is looked for in two places
		t.Run(f.name, func(t *testing.T) {
			s := newStore(t, openKV(t), keyFile(t))
			f.begin(t, s)
			test(t, s)
		})
	}
}

// TestVersionsEnough asks for values whose versions the caller may know: they are told from memory, without a value
// being read, and never of another state than the present one. What is not there is not known.
func TestVersionsEnough(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, s *Store) {
		form := records.Form(s.ring.Names().Form)
		meta := &counted{Store: s.kv, prefix: records.Of(org, form, records.Meta)}
		value := &counted{Store: meta, prefix: records.Of(org, form, records.Value)}
		onto(s, value)
		ask := func(keys []string, want map[string]int) (unread bool) {
			t.Helper()
			got, err := s.Read(t.Context(), org, secret.Query{Keys: keys, Versions: true,
				Enough: func(of secret.Snapshot) bool {
					for key, one := range of.Secrets {
						if one.Value.Len() > 0 || one.Version != want[key] {
							return false
						}
					}
					return len(of.Secrets) == len(want)
				}})
			if err != nil || len(got.Secrets) != len(want) {
				t.Fatalf("%d secrets, want %d: %v", len(got.Secrets), len(want), err)
			}
			for key, one := range got.Secrets {
				if one.Version != want[key] || one.Updated.IsZero() || got.Unread != (one.Value.Len() == 0) {
					t.Errorf("%s: %+v, unread %v, want version %d", key, one, got.Unread, want[key])
				}
			}
			return got.Unread
		}
		apply(t, s, secret.Change{Set: setOf("a", "1")})
		apply(t, s, secret.Change{Set: setOf("b", "1")})
		if ask([]string{"gone"}, map[string]int{}) {
			t.Error("what is not there is known")
		}
		if ask([]string{"a"}, map[string]int{"a": 1}) {
			t.Error("the first answer is from memory")
		}
		before := meta.reads.Load() + value.reads.Load()
		for range 3 {
			if !ask([]string{"a"}, map[string]int{"a": 1}) {
				t.Error("what is known was read")
			}
		}
		if n := meta.reads.Load() + value.reads.Load() - before; n != 0 {
			t.Errorf("records were read %d times for what is known", n)
		}
		before = meta.reads.Load()
		if got, err := s.Read(t.Context(), org, secret.Query{Keys: []string{"a"}, Versions: true}); err != nil ||
			got.Secrets["a"].Version != 1 || string(got.Secrets["a"].Value.Bytes()) != "1" || meta.reads.Load() != before {
			t.Errorf("%+v, %d reads of metadata, %v", got, meta.reads.Load()-before, err)
		}
		apply(t, s, secret.Change{Set: setOf("a", "2")})
		if ask([]string{"a"}, map[string]int{"a": 2}) || !ask([]string{"a"}, map[string]int{"a": 2}) {
			t.Error("after a change: known before it was read, or not known after")
		}
		apply(t, s, secret.Change{Delete: []string{"a"}})
		if ask([]string{"a"}, map[string]int{}) {
			t.Error("what was deleted is known")
		}
		ask(nil, map[string]int{"b": 1})
		if !ask(nil, map[string]int{"b": 1}) {
			t.Error("the versions of all are not known")
		}
		if err := s.Purge(t.Context(), org); err != nil {
			t.Fatal(err)
		}
		if ask([]string{"b"}, map[string]int{}) {
			t.Error("what was purged is known")
		}
	}
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			s := newStore(t, openKV(t), keyFile(t))
			f.begin(t, s)
			test(t, s)
		})
	}
}
