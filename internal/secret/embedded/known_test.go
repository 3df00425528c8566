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
