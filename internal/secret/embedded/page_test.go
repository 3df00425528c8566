package embedded

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// counting counts the records that are read.
type counting struct {
	kv.Store
	read atomic.Int64
}

func (c *counting) Get(ctx context.Context, key string) (kv.Record, error) {
	c.read.Add(1)
	return c.Store.Get(ctx, key)
}

func (c *counting) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	recs, err := c.Store.List(ctx, prefix, after, limit)
	c.read.Add(int64(len(recs)) + 1)
	return recs, err
}

// TestPageReadsItsOwn counts what a page of either list reads, also after changes, in an organisation with few
// secrets and in one with many: as much.
func TestPageReadsItsOwn(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			few, many := readsOfPages(t, f, 200), readsOfPages(t, f, 2000)
			if !slices.Equal(few, many) {
				t.Errorf("pages of 10 read %d records of 200 and %d of 2,000", few, many)
			}
		})
	}
}

func readsOfPages(t *testing.T, f form, n int) (reads []int64) {
	s := newStore(t, openKV(t), keyFile(t))
	f.begin(t, s)
	c := secret.Change{Set: map[string]secret.Value{}}
	gone := secret.Change{}
	for i := range n {
		for _, name := range []string{fmt.Sprintf("a-%05d", i), fmt.Sprintf("d-%05d", i)} {
			c.Set[name] = secret.NewValue([]byte("a value"))
		}
		gone.Delete = append(gone.Delete, fmt.Sprintf("d-%05d", i))
	}
	apply(t, s, c)
	apply(t, s, gone)
	page := secret.Page{After: "a-00050", Limit: 10}
	deleted := secret.Page{After: "d-00050", Limit: 10}
	count := &counting{Store: s.kv}
	onto(s, count)
	read := func() {
		for _, call := range []func() ([]secret.Info, error){
			func() ([]secret.Info, error) { return s.Infos(t.Context(), org, page) },
			func() ([]secret.Info, error) { return s.Deleted(t.Context(), org, deleted) },
		} {
			count.read.Store(0)
			if infos, err := call(); err != nil || len(infos) != 10 {
				t.Fatalf("a page has %d, %v", len(infos), err)
			}
			reads = append(reads, count.read.Load())
		}
	}
	read() // the lists of names that are to be followed are read
	reads = reads[:0]
	read()
	for _, change := range []secret.Change{
		{Set: setOf("a-00055", "another value")},
		{Set: setOf("a-00055x", "new", "d-00055", "back")},
		{Delete: []string{"a-00056", "a-00055x"}},
	} {
		apply(t, s, change)
		read()
	}
	return reads
}

// TestPagesFollowChanges walks through both lists in pages after each of many changes, of all kinds, and compares
// them with what one call tells.
func TestPagesFollowChanges(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, s *Store) {
		changes := []func() error{
			func() error { return errOf(s.Apply(t.Context(), org, setting("a", "b", "c", "d", "e", "f", "g", "h"))) },
			func() error { return errOf(s.Apply(t.Context(), org, secret.Change{Delete: []string{"b", "d", "e"}})) },
			func() error { return errOf(s.Restore(t.Context(), org, "d", 0, "")) },
			func() error { return errOf(s.Apply(t.Context(), org, setting("bb", "e", "a"))) },
			func() error { return errOf(s.Mark(t.Context(), org, "c", marking(secret.DeleteVersion, 1))) },
			func() error { return errOf(s.Mark(t.Context(), org, "c", marking(secret.UndeleteVersion, 1))) },
			func() error { return errOf(s.Mark(t.Context(), org, "f", marking(secret.DestroyVersion, 1))) },
			func() error { return s.Remove(t.Context(), org, "g", false) },
			func() error { return s.Remove(t.Context(), org, "b", false) },
			func() error { return s.Describe(t.Context(), org, "h", secret.Description{Text: "words"}) },
			func() error {
				c := setting("moved")
				c.Delete, c.Moved = []string{"h"}, map[string]string{"moved": "h"}
				return errOf(s.Apply(t.Context(), org, c))
			},
			func() error { return s.Purge(t.Context(), org) },
			func() error { return errOf(s.Apply(t.Context(), org, setting("after", "the", "end"))) },
		}
		for i, change := range changes {
			if err := change(); err != nil {
				t.Fatalf("change %d: %v", i, err)
			}
			for what, list := range map[string]func(context.Context, secret.Page) ([]secret.Info, error){
				"Infos":   func(ctx context.Context, p secret.Page) ([]secret.Info, error) { return s.Infos(ctx, org, p) },
				"Deleted": func(ctx context.Context, p secret.Page) ([]secret.Info, error) { return s.Deleted(ctx, org, p) },
			} {
				fresh := New(Config{KV: s.kv, Keyring: s.ring, History: 10})
				want, err := fresh.Infos(t.Context(), org, secret.Page{})
				if what == "Deleted" {
					want, err = fresh.Deleted(t.Context(), org, secret.Page{})
				}
				if err != nil {
					t.Fatal(err)
				}
				var got []secret.Info
				for page := (secret.Page{Limit: 2}); ; {
					infos, err := list(t.Context(), page)
					if err != nil {
						t.Fatalf("after change %d: %s: %v", i, what, err)
					}
					if got = append(got, infos...); len(infos) < page.Limit {
						break
					}
					page.After = infos[1].Key
				}
				if names(got) != names(want) {
					t.Errorf("after change %d, %s has %s in pages, and %s", i, what, names(got), names(want))
				}
			}
		}
	})
}

// renaming has something done before a single record other than the head is read.
type renaming struct {
	looking
}

func (r *renaming) Get(ctx context.Context, key string) (kv.Record, error) {
	if key != records.Head(org) {
		r.once.Do(r.before)
	}
	return r.Store.Get(ctx, key)
}

// TestAPageOfDueSecretsIsOfOneMoment has another server rename the one secret that is due, to a name that has been
// looked at, while a page looks for it.
func TestAPageOfDueSecretsIsOfOneMoment(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, inSeal} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			db, key := openKV(t), keyFile(t)
			s := newStore(t, db, key)
			f.begin(t, s)
			var all []string
			for i := range 600 {
				all = append(all, fmt.Sprintf("k%04d", i))
			}
			apply(t, s, setting(all...))
			due := time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC)
			if err := s.Describe(t.Context(), org, "k0599", secret.Description{Expires: due}); err != nil {
				t.Fatal(err)
			}
			other, renamed := newStore(t, db, key), false
			onto(s, &renaming{looking{Store: db, before: func() {
				c := setting("a")
				c.Delete, c.Moved = []string{"k0599"}, map[string]string{"a": "k0599"}
				apply(t, other, c)
				renamed = true
			}}})
			infos, err := s.Infos(t.Context(), org, secret.Page{Limit: 10, Before: due.Add(1)})
			if err != nil || names(infos) != " a" || !renamed {
				t.Errorf("there is due:%s, %v (renamed: %v)", names(infos), err, renamed)
			}
		})
	}
}

func setting(names ...string) secret.Change {
	c := secret.Change{Set: make(map[string]secret.Value)}
	for _, name := range names {
		c.Set[name] = secret.NewValue([]byte("a value"))
	}
	return c
}

func names(infos []secret.Info) (all string) {
	for _, info := range infos {
		all += " " + info.Key
	}
	return all
}

func BenchmarkPage(b *testing.B) {
	inEach(b, func(b *testing.B, f form) {
		for _, n := range []int{1000, 50_000} {
			s := filled(b, f, n)
			page := secret.Page{After: "key-00500", Limit: 100}
			pages := func(name string, changed bool, list func() ([]secret.Info, error)) {
				b.Run(fmt.Sprintf("%s/%d/changed=%v", name, n, changed), func(b *testing.B) {
					if _, err := list(); err != nil { // the first after a start reads the names
						b.Fatal(err)
					}
					for b.Loop() {
						if changed {
							b.StopTimer()
							if _, err := s.Apply(b.Context(), org, setting("key-00001")); err != nil {
								b.Fatal(err)
							}
							b.StartTimer()
						}
						if got, err := list(); err != nil || len(got) != page.Limit {
							b.Fatal(len(got), err)
						}
					}
				})
			}
			infos := func() ([]secret.Info, error) { return s.Infos(b.Context(), org, page) }
			deleted := func() ([]secret.Info, error) { return s.Deleted(b.Context(), org, page) }
			pages("infos", false, infos)
			pages("infos", true, infos)
			keys, err := s.Keys(b.Context(), org)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Apply(b.Context(), org, secret.Change{Delete: keys}); err != nil {
				b.Fatal(err)
			}
			pages("deleted", false, deleted)
			pages("deleted", true, deleted)
		}
	})
}
