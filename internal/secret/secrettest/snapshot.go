package secrettest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
)

// atVersion gives the change the condition that the organisation is at a version.
func atVersion(version int64, change secret.Change) secret.Change {
	change.At = &version
	return change
}

// secretsAt gives the change the condition that secrets are at versions.
func secretsAt(versions map[string]int, change secret.Change) secret.Change {
	change.Versions = versions
	return change
}

// versionOf is the organisation's version, as a snapshot of nothing tells it.
func versionOf(t *testing.T, s secret.Store) int64 {
	t.Helper()
	return snapshotOf(t, s, secret.Query{Keys: []string{}}).Version
}

func snapshotOf(t *testing.T, s secret.Store, q secret.Query) secret.Snapshot {
	t.Helper()
	snap, err := s.Read(t.Context(), orgA, q)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return snap
}

func wantCode(t *testing.T, what string, err error, code errs.Code) {
	t.Helper()
	if !errs.Is(err, code) {
		t.Fatalf("%s: %v, want an error of code %q", what, err, code)
	}
}

func testVersionDoesNotHold(t *testing.T, s secret.Store) {
	if !s.About(orgA).Versions {
		_, err := s.Apply(t.Context(), orgA, atVersion(0, set("a", "1")))
		wantCode(t, "the version of an organisation that has none", err, errs.NotImplemented)
		wantKeys(t, s, orgA)
		return
	}
	refused := func(version int64, c secret.Change) {
		t.Helper()
		_, err := s.Apply(t.Context(), orgA, atVersion(version, c))
		wantCode(t, fmt.Sprintf("a change at version %d", version), err, errs.PreconditionFailed)
	}
	refused(1, set("a", "1"))
	wantKeys(t, s, orgA)
	apply(t, s, orgA, set("a", "1"))
	at := versionOf(t, s)
	for _, version := range []int64{0, at - 1, at + 1, -1, 1 << 60} {
		refused(version, set("a", "2"))
		refused(version, secret.Change{Delete: []string{"a"}})
		refused(version, secret.Change{})
	}
	refused(0, numbered("many", 300))
	// The condition holds, and another does not.
	_, err := s.Apply(t.Context(), orgA, atVersion(at, only(secret.IfNew, set("a", "2"))))
	wantCode(t, "a change of which one condition holds", err, errs.PreconditionFailed)
	wantValue(t, s, orgA, "a", "1")
	wantKeys(t, s, orgA, "a")
	if now := versionOf(t, s); now != at {
		t.Errorf("refused changes have raised the version from %d to %d", at, now)
	}
}

func testSecretVersionDoesNotHold(t *testing.T, s secret.Store) {
	about := s.About(orgA)
	refused := func(code errs.Code, versions map[string]int, c secret.Change) {
		t.Helper()
		_, err := s.Apply(t.Context(), orgA, secretsAt(versions, c))
		wantCode(t, fmt.Sprintf("a change at %v", versions), err, code)
	}
	apply(t, s, orgA, set("a", "1", "b", "1"))
	if !about.SecretVersions {
		refused(errs.NotImplemented, map[string]int{"a": 1}, set("a", "2"))
		wantValue(t, s, orgA, "a", "1")
		return
	}
	for _, n := range []int{0, 2, -1} {
		refused(errs.PreconditionFailed, map[string]int{"a": n}, set("a", "2"))
	}
	refused(errs.PreconditionFailed, map[string]int{"new": 1}, set("new", "2"))
	several := errs.PreconditionFailed
	if !about.ManyVersions {
		several = errs.NotImplemented
	}
	refused(several, map[string]int{"a": 1, "b": 2}, set("a", "2", "b", "2"))
	refused(several, map[string]int{"b": 2}, secret.Change{Set: set("a", "2").Set, Delete: []string{"b"}})
	wantKeys(t, s, orgA, "a", "b")
	wantValue(t, s, orgA, "a", "1")
	// A deleted secret counts with its last version.
	apply(t, s, orgA, secret.Change{Delete: []string{"a"}})
	refused(errs.PreconditionFailed, map[string]int{"a": 0}, set("a", "2"))
	apply(t, s, orgA, secretsAt(map[string]int{"a": 1}, set("a", "2")))
	wantValue(t, s, orgA, "a", "2")
}

// testSnapshot reads some, all and none.
func testSnapshot(t *testing.T, s secret.Store) {
	if snap := snapshotOf(t, s, secret.Query{}); len(snap.Secrets) != 0 || snap.Version != 0 || !snap.Changed.IsZero() {
		t.Errorf("of nothing: %+v", snap)
	}
	c := numbered("key", 40)
	c.Set["empty"] = secret.NewValue(nil)
	apply(t, s, orgA, c)
	apply(t, s, orgB, set("key-0001", "another organisation's"))
	for _, tt := range []struct {
		name string
		q    secret.Query
		want int
	}{
		{"all", secret.Query{}, 41},
		{"all that are wanted", secret.Query{Want: func(k string) bool { return strings.HasPrefix(k, "key-000") }}, 10},
		{"nearly all", secret.Query{Want: func(k string) bool { return k != "key-0001" }}, 40},
		{"none that is wanted", secret.Query{Want: func(string) bool { return false }}, 0},
		{"none", secret.Query{Keys: []string{}}, 0},
		{"one", secret.Query{Keys: []string{"key-0003"}}, 1},
		{"an empty one", secret.Query{Keys: []string{"empty"}}, 1},
		{"some, one twice, others missing",
			secret.Query{Keys: []string{"key-0003", "missing", "key-0003", "", "empty"}}, 2},
		{"one that cannot be", secret.Query{Keys: []string{"a\x00b"}}, 0},
	} {
		for _, versions := range []bool{false, true} {
			for _, forUse := range []bool{false, true} {
				q := tt.q
				q.Versions, q.ForUse = versions, forUse
				snap := snapshotOf(t, s, q)
				if len(snap.Secrets) != tt.want {
					t.Errorf("%s (versions %v, for use %v): %d secrets, want %d", tt.name, versions, forUse,
						len(snap.Secrets), tt.want)
				}
				for key, got := range snap.Secrets {
					if !got.Value.Equal(c.Set[key]) {
						t.Errorf("%s: %s has another value", tt.name, key)
					}
					if versions && s.About(orgA).SecretVersions &&
						(got.Version != 1 || time.Since(got.Updated).Abs() > time.Hour) {
						t.Errorf("%s: %s is at version %d of %v", tt.name, key, got.Version, got.Updated)
					}
				}
			}
		}
	}
}

// testVersion is the organisation's version: one higher with each change that changes something.
func testVersion(t *testing.T, s secret.Store) {
	if !s.About(orgA).Versions {
		apply(t, s, orgA, set("a", "1"))
		if v := versionOf(t, s); v != 0 {
			t.Errorf("there is no version, and it is %d", v)
		}
		return
	}
	at := int64(0)
	if v := versionOf(t, s); v != at {
		t.Fatalf("the version of nothing is %d", v)
	}
	do := func(raised int64, c secret.Change) {
		t.Helper()
		out, err := s.Apply(t.Context(), orgA, atVersion(at, c))
		if err != nil {
			t.Fatalf("at version %d: %v", at, err)
		}
		at += raised
		if now := versionOf(t, s); out.Version != at || now != at {
			t.Fatalf("the version is told as %d and read as %d, want %d", out.Version, now, at)
		}
	}
	do(1, set("a", "1"))
	do(1, set("a", "2", "b", "2"))
	do(1, secret.Change{Set: set("b", "3").Set, Delete: []string{"a"}})
	do(0, secret.Change{Delete: []string{"a", "missing"}})
	do(0, secret.Change{})
	do(1, numbered("many", 300))
	do(1, secret.Change{Delete: sortedKeys(numbered("many", 300))})
	if snap := snapshotOf(t, s, secret.Query{}); time.Since(snap.Changed).Abs() > time.Hour || len(snap.Secrets) != 1 {
		t.Errorf("%d secrets, changed %v", len(snap.Secrets), snap.Changed)
	}
	do(1, secret.Change{Delete: []string{"b"}})
	wantKeys(t, s, orgA) // and the version goes on
	do(1, set("a", "1"))
	if err := s.Purge(t.Context(), orgA); err != nil {
		t.Fatal(err)
	}
	at = 0
	do(1, set("a", "1"))
}

func testSecretVersions(t *testing.T, s secret.Store) {
	about := s.About(orgA)
	if !about.SecretVersions {
		out, err := s.Apply(t.Context(), orgA, set("a", "1"))
		if err != nil || len(out.Versions) != 0 {
			t.Errorf("there are no versions of secrets, and told is %v, %v", out.Versions, err)
		}
		return
	}
	do := func(c secret.Change, want map[string]int) {
		t.Helper()
		out, err := s.Apply(t.Context(), orgA, c)
		if err != nil {
			t.Fatal(err)
		}
		snap := snapshotOf(t, s, secret.Query{Versions: true})
		for key, n := range want {
			if out.Versions[key] != n || snap.Secrets[key].Version != n {
				t.Errorf("%s is told to be at version %d and read at %d, want %d", key, out.Versions[key],
					snap.Secrets[key].Version, n)
			}
		}
	}
	do(secretsAt(map[string]int{"a": 0}, set("a", "1")), map[string]int{"a": 1})
	do(secretsAt(map[string]int{"a": 1}, set("a", "2")), map[string]int{"a": 2})
	do(set("a", "3", "b", "1"), map[string]int{"a": 3, "b": 1})
	do(set("b", "2"), map[string]int{"b": 2})
	if about.ManyVersions {
		do(secretsAt(map[string]int{"a": 3, "b": 2, "c": 0}, secret.Change{Set: set("a", "4", "c", "1").Set,
			Delete: []string{"b"}}), map[string]int{"a": 4, "c": 1})
	}
}

func testReadersSeeOneMoment(t *testing.T, s secret.Store) { oneMoment(t, s, s) }

// oneMoment has a writer set several secrets to the same number while readers read them: every read is of one
// number. Where the organisation has a version, that goes for changes of single secrets, too: what is set later is
// never read with a higher number.
func oneMoment(t *testing.T, writer, reader secret.Store) {
	const keys = 12
	all := func(n int) secret.Change {
		c := secret.Change{Set: map[string]secret.Value{}}
		for i := range keys {
			c.Set[fmt.Sprintf("k%02d", i)] = secret.NewValue(fmt.Append(nil, n))
		}
		return c
	}
	apply(t, writer, orgA, all(0))
	single := writer.About(orgA).Versions
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	for _, q := range []secret.Query{
		{}, {Keys: []string{"k00", "k01"}}, {Keys: []string{"k11", "k00"}, ForUse: writer == reader},
		{ForUse: writer == reader, Versions: true},
	} {
		readers.Go(func() {
			for ctx.Err() == nil {
				snap, err := reader.Read(context.WithoutCancel(ctx), orgA, q)
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
				seen := make(map[string]string)
				for key, got := range snap.Secrets {
					seen[key] = string(got.Value.Bytes())
				}
				if want := len(q.Keys); len(seen) != want && (q.Keys != nil || len(seen) != keys) {
					t.Errorf("%d secrets were read", len(seen))
					return
				}
				for key, v := range seen {
					if torn(key, v, seen) {
						t.Errorf("of one moment were read %v", seen)
						return
					}
				}
			}
		})
	}
	for n := range rounds {
		apply(t, writer, orgA, all(n+1))
		if single && n%2 == 1 { // k00 first, then the others, to a number with a mark that all must lose again together
			for i := range keys {
				apply(t, writer, orgA, set(fmt.Sprintf("k%02d", i), fmt.Sprintf("%d+", n+1)))
			}
		}
	}
	stop()
	readers.Wait()
}

// torn reports whether a value cannot have been there beside the others: all have one number, and where some have the
// mark, those whose keys come first have it.
func torn(key, v string, seen map[string]string) bool {
	number, marked := strings.CutSuffix(v, "+")
	for other, w := range seen {
		n, m := strings.CutSuffix(w, "+")
		if n != number || other < key && marked && !m {
			return true
		}
	}
	return false
}

func testConcurrentVersion(t *testing.T, s secret.Store) { oneAtVersion(t, s) }

// oneAtVersion has many change one organisation on the condition that it is at a version, each from what it has read:
// no change is lost, and for each version one succeeds.
func oneAtVersion(t *testing.T, stores ...secret.Store) {
	if !stores[0].About(orgA).Versions {
		return
	}
	const writers, each = 6, 4
	apply(t, stores[0], orgA, set("count", ""))
	began := versionOf(t, stores[0])
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := make(map[int64]int)
	for w := range writers {
		s := stores[w%len(stores)]
		wg.Go(func() {
			for done := 0; done < each; {
				snap, err := s.Read(t.Context(), orgA, secret.Query{Keys: []string{"count"}})
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
				next := set("count", string(snap.Secrets["count"].Value.Bytes())+"x")
				out, err := s.Apply(t.Context(), orgA, atVersion(snap.Version, next))
				switch {
				case err == nil:
					done++
					mu.Lock()
					made[out.Version]++
					mu.Unlock()
					if out.Version != snap.Version+1 {
						t.Errorf("a change at version %d has made version %d", snap.Version, out.Version)
					}
				case !errs.Is(err, errs.PreconditionFailed):
					t.Errorf("Apply: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, stores[0], orgA, "count", strings.Repeat("x", writers*each))
	for v := began + 1; v <= began+writers*each; v++ {
		if made[v] != 1 {
			t.Errorf("version %d was made %d times", v, made[v])
		}
	}
}
