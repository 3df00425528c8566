package embedded

import (
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

	"strongroom/internal/id"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
)

// TestVerifyDuringLargeChanges looks at many moments of a store in which large changes are made, among them
// such in which one is committed and not yet, or in part, carried out: none of them is damaged, and each
// restored has one change whole.
func TestVerifyDuringLargeChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, db := verifiable(t)
	var writers sync.WaitGroup
	defer writers.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for o := range 2 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				c := secret.Change{Set: map[string]secret.Value{}}
				for i := range 300 {
					if i%7 == n%7 {
						c.Delete = append(c.Delete, fmt.Sprint("large", i))
					} else {
						c.Set[fmt.Sprint("large", i)] = secret.NewValue([]byte(fmt.Sprint(n)))
					}
				}
				if _, err := s.Apply(t.Context(), id.ID(o+1), c); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	pending := 0
	for n := 0; n < 200 && (n < 30 || pending == 0); n++ {
		path := filepath.Join(dir, fmt.Sprint(n))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Backup(t.Context(), f), f.Close()); err != nil {
			t.Fatal(err)
		}
		file, problems, err := snapshot.Read(t.Context(), path)
		if err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
		if problems := verified(t, New(Config{KV: file, Keyring: s.ring})); len(problems) > 0 {
			t.Fatalf("moment %d: %d problems, among them %q", n, len(problems), problems[0])
		}
		for _, org := range []id.ID{1, 2} {
			if _, err := file.Get(t.Context(), commitlog.Key(org)); err == nil {
				pending++
			}
		}
		restored, err := bolt.Open(path, bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, New(Config{KV: restored, Keyring: s.ring}))
		if err := restored.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	writers.Wait()
	if pending == 0 {
		t.Error("no moment had a change that is committed and not carried out")
	}
}

// checkWhole finds one change of TestVerifyDuringLargeChanges, and nothing of another.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	for _, org := range []id.ID{1, 2} {
		keys, err := s.Keys(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]int{}
		for _, k := range keys {
			if !strings.HasPrefix(k, "large") {
				continue
			}
			v, err := secret.Get(t.Context(), s, org, k)
			if err != nil {
				t.Fatal(err)
			}
			values[string(v.Bytes())]++
		}
		if len(values) > 1 || len(keys) > 2 && len(keys) < 250 {
			t.Errorf("the organisation has %d secrets of %d changes: %v", len(keys), len(values), values)
		}
	}
}

// TestVerifyStepsInPart ends the process at each transaction of a large change, and looks at what is there.
func TestVerifyStepsInPart(t *testing.T) {
	s, db := verifiable(t)
	change := secret.Change{Delete: []string{"c"}, Set: map[string]secret.Value{}}
	for i := range 200 {
		change.Set[fmt.Sprint("large", i)] = secret.NewValue([]byte("x"))
	}
	for cut := 0; ; cut++ {
		c := &crashing{Store: db, left: cut}
		_, err := New(Config{KV: c, Keyring: s.ring}).Apply(t.Context(), 1, change)
		if (err == nil) != (c.committed || !c.dead) {
			t.Errorf("after %d transactions the change is committed: %v, and told is %v", cut, c.committed, err)
		}
		if problems := verified(t, New(Config{KV: db, Keyring: s.ring})); len(problems) > 0 {
			t.Errorf("after %d transactions: %d problems, among them %q", cut, len(problems), problems[0])
		}
		if err := s.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !c.dead {
			return
		}
		undo := secret.Change{Set: setOf("c", ""), Delete: slices.Collect(maps.Keys(change.Set))}
		if _, err := s.Apply(t.Context(), 1, undo); err != nil {
			t.Fatal(err)
		}
	}
}
