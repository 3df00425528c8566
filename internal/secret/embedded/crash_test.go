package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
)

const org id.ID = 0x031c8cbefe101000

var errCrash = errors.New("the process has crashed")

// crashing is an engine whose process ends with a transaction: the one after left more. That one is carried out or
// not; its caller never hears of it, and nothing works from then on.
type crashing struct {
	kv.Store
	carriedOut bool

	mu        sync.Mutex
	left      int
	dead      bool
	committed bool // a journal has been put
}

func (c *crashing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return 0, errCrash
	}
	if c.left == 0 {
		c.dead = true
		if !c.carriedOut {
			return 0, errCrash
		}
	}
	c.left--
	rev, err := c.Store.Txn(ctx, conds, ops)
	if err == nil && ops[0].Kind == kv.OpPut && strings.HasSuffix(ops[0].Key, "/journal") {
		c.committed = true
	}
	if c.dead {
		return 0, errCrash
	}
	return rev, err
}

func (c *crashing) Get(ctx context.Context, key string) (kv.Record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return kv.Record{}, errCrash
	}
	return c.Store.Get(ctx, key)
}

// everyPoint is how far apart the points are at which tests crash or fail what they test. The race detector makes each
// ten times as slow and finds nothing more at the next; a run without it takes every one (make test does both).
var everyPoint = map[bool]int{true: 7, false: 1}[raceDetector]

func setOf(pairs ...string) map[string]secret.Value {
	m := map[string]secret.Value{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = secret.NewValue([]byte(pairs[i+1]))
	}
	return m
}

// before is what is there when the large change comes, after what it leaves.
func largeChange() (before map[string]secret.Value, change secret.Change, after map[string]secret.Value) {
	before = setOf("a", "old", "gone", "1", "stays", "2")
	change = secret.Change{Set: setOf("a", "new"), Delete: []string{"gone", "never there"}}
	for i := range 3 {
		change.Set[fmt.Sprintf("big-%d", i)] = secret.NewValue([]byte(strings.Repeat("x", 900_000)))
	}
	for i := range 200 {
		change.Set[fmt.Sprintf("small-%03d", i)] = secret.NewValue(fmt.Append(nil, i))
	}
	after = setOf("stays", "2")
	for name, v := range change.Set {
		after[name] = v
	}
	return before, change, after
}

func wantContent(t *testing.T, s *Store, want map[string]secret.Value) {
	t.Helper()
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	names := []string{}
	for name, v := range want {
		names = append(names, name)
		if got, err := secret.Get(t.Context(), s, org, name); err != nil || string(got.Bytes()) != string(v.Bytes()) {
			t.Fatalf("Get(%q): %d bytes, %v; want %d bytes", name, got.Len(), err, v.Len())
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, keys); diff != "" {
		t.Fatalf("Keys (-want +got):\n%s", diff)
	}
}

// wantSome looks for all names and some of the values: over a change that cannot be carried out, each costs the reading
// of all of it.
func wantSome(t *testing.T, s *Store, want map[string]secret.Value) {
	t.Helper()
	names := slices.Sorted(maps.Keys(want))
	if keys, err := s.Keys(t.Context(), org); err != nil || !slices.Equal(keys, names) {
		t.Fatalf("Keys: %q, %v, want %q", keys, err, names)
	}
	for i, name := range names {
		if i > 4 && i%25 != 0 {
			continue
		}
		if got, err := secret.Get(t.Context(), s, org, name); err != nil || !got.Equal(want[name]) {
			t.Fatalf("Get(%q): %d bytes, %v; want %d bytes", name, got.Len(), err, want[name].Len())
		}
	}
}

// wantNothingStaged looks for what a finished change should have removed.
func wantNothingStaged(t *testing.T, db kv.Store) {
	t.Helper()
	recs, err := db.List(t.Context(), commitlog.Root, "", 10)
	if err != nil || len(recs) != 0 {
		t.Fatalf("%d records are still staged, %v", len(recs), err)
	}
}

// TestCrash ends the process at every transaction of a large change, in turn, once before and once after it is carried
// out, and starts another one. The change is there whole if its journal was put, and not at all otherwise, whoever
// comes first.
func TestCrash(t *testing.T) {
	comers := map[string]func(t *testing.T, s *Store, before map[string]secret.Value){
		"Recover": func(t *testing.T, s *Store, _ map[string]secret.Value) {
			if err := s.Recover(t.Context()); err != nil {
				t.Fatalf("Recover: %v", err)
			}
			wantNothingStaged(t, s.kv)
		},
		"Keys": func(t *testing.T, s *Store, _ map[string]secret.Value) { s.Keys(t.Context(), org) },
		"Get": func(t *testing.T, s *Store, _ map[string]secret.Value) {
			if _, err := secret.Get(t.Context(), s, org, "stays"); err != nil {
				t.Fatalf("Get: %v", err)
			}
		},
		"Apply": func(t *testing.T, s *Store, want map[string]secret.Value) {
			want["late"] = secret.NewValue([]byte("1"))
			if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("late", "1")}); err != nil {
				t.Fatalf("Apply: %v", err)
			}
		},
	}
	key := keyFile(t)
	type way struct {
		form  form
		comer string
	}
	var ways []way
	for comer := range comers {
		for _, f := range []form{inClear, beingSealed, beingUnsealed} {
			ways = append(ways, way{f, comer})
		}
	}
	for _, w := range ways {
		t.Run(w.comer+"/"+w.form.name, func(t *testing.T) {
			t.Parallel()
			comer, committed := comers[w.comer], 0
			for n := 0; ; n += everyPoint {
				before, change, after := largeChange()
				db := openKV(t)
				s := newStore(t, db, key)
				apply(t, s, secret.Change{Set: before})
				w.form.begin(t, s)
				// Opening the keyring of data that have one makes no transaction.
				c := &crashing{Store: db, left: n / 2, carriedOut: n%2 == 1}
				_, err := newStore(t, c, key).Apply(t.Context(), org, change)
				if err == nil && n > 0 && !c.dead {
					if n < 20 || committed*everyPoint < 8 {
						t.Errorf("the change took %d transactions, %d after its commit: it is not the test "+
							"it should be", n/2, committed/2)
					}
					break
				}
				// What has been committed is told as made.
				if !errors.Is(err, errCrash) && !(err == nil && c.committed) {
					t.Fatalf("crash %d: %v", n, err)
				}
				want := before
				if c.committed {
					want = after
					committed++
				}
				s = newStore(t, db, key)
				comer(t, s, want)
				wantContent(t, s, want)
				if err := s.Recover(t.Context()); err != nil {
					t.Fatalf("Recover: %v", err)
				}
				wantNothingStaged(t, db)
				wantContent(t, newStore(t, db, key), want)
				db.Close()
			}
		})
	}
}

// failing is an engine whose transactions number from on fail with err, as often as times, and go on after that. They
// are carried out all the same or not, as with an engine over a network.
type failing struct {
	kv.Store
	err        error
	carriedOut bool

	mu          sync.Mutex
	from, times int
}

func (f *failing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from--; f.from < 0 && f.times != 0 {
		f.times--
		if f.carriedOut {
			if _, err := f.Store.Txn(ctx, conds, ops); err != nil {
				return 0, err
			}
		}
		return 0, f.err
	}
	return f.Store.Txn(ctx, conds, ops)
}

// TestDiskFull fills the disk at every transaction of a large change. What was there stays readable, the caller hears
// that the disk is full, and when there is room again, all is as it was or, where the change was committed, done.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, beingSealed} {
		t.Run(f.name, func(t *testing.T) { testDiskFull(t, f) })
	}
}

func testDiskFull(t *testing.T, form form) {
	key := keyFile(t)
	full := fmt.Errorf("%w: write: no space left on device", kv.ErrFull)
	for n := 0; ; n += everyPoint {
		before, change, after := largeChange()
		db := openKV(t)
		first := newStore(t, db, key)
		apply(t, first, secret.Change{Set: before})
		form.begin(t, first)
		f := &failing{Store: db, err: full, from: n, times: -1}
		s := newStore(t, f, key)
		want := after
		if _, err := s.Apply(t.Context(), org, change); err != nil {
			if !errs.Is(err, errs.InsufficientStorage) || errs.Message(err) != "the server's disk is full" {
				t.Fatalf("full at transaction %d: %v", n, err)
			}
			want = before
		}
		wantSome(t, s, want)
		if _, err := secret.Get(t.Context(), s, org, "never there"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a secret that is not there: %v", err)
		}
		if f.from >= 0 {
			if n < 8 {
				t.Errorf("the change took %d transactions: it is not the test it should be", n)
			}
			return
		}
		f.mu.Lock()
		f.times = 0
		f.mu.Unlock()
		if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("room", "1")}); err != nil {
			t.Fatalf("when there is room again: %v", err)
		}
		want["room"] = secret.NewValue([]byte("1"))
		wantContent(t, s, want)
		db.Close()
	}
}

// TestFaultOnce has one transaction of a large change fail, carried out or not, while all others work. What the caller
// is told may be wrong then; the change is there whole or not at all.
func TestFaultOnce(t *testing.T) {
	t.Parallel()
	for _, f := range []form{inClear, beingSealed} {
		t.Run(f.name, func(t *testing.T) { testFaultOnce(t, f) })
	}
}

func testFaultOnce(t *testing.T, form form) {
	key := keyFile(t)
	fault := errors.New("connection lost")
	for n := 0; ; n += everyPoint {
		before, change, after := largeChange()
		db := openKV(t)
		first := newStore(t, db, key)
		apply(t, first, secret.Change{Set: before})
		form.begin(t, first)
		f := &failing{Store: db, err: fault, carriedOut: n%2 == 1, from: n / 2, times: 1}
		s := newStore(t, f, key)
		_, err := s.Apply(t.Context(), org, change)
		if err != nil && !errors.Is(err, fault) {
			t.Fatalf("fault %d: %v", n, err)
		}
		want := after
		if keys, keysErr := s.Keys(t.Context(), org); keysErr != nil {
			t.Fatalf("fault %d: Keys: %v", n, keysErr)
		} else if err != nil && len(keys) == len(before) {
			want = before
		}
		wantContent(t, s, want)
		wantNothingStaged(t, db)
		if f.times > 0 {
			return // the change took fewer transactions
		}
		db.Close()
	}
}
