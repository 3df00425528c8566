// Package secrettest is the suite every secret.Store passes. A store's own test file is ten lines around Test, and
// around TestShared where several instances can stand on the same data.
package secrettest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// The organisations of the tests. Neither is a prefix, in any notation, of the other.
const (
	orgA    id.ID = 0x031c8cbefe101000
	orgB    id.ID = 0x031c8cbefe101001
	unknown id.ID = 0x0fffffffffffffff
)

// Test runs the suite. open gives a new, empty store at each call and arranges, by t.Cleanup, that it is released.
func Test(t *testing.T, open func(t *testing.T) secret.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s secret.Store)
	}{
		// What goes wrong comes first.
		{"GetMissing", testGetMissing},
		{"UnknownOrg", testUnknownOrg},
		{"EndedContext", testEndedContext},
		{"ContextEndsDuringApply", testContextEndsDuringApply},
		{"EmptyChange", testEmptyChange},
		{"DeleteMissing", testDeleteMissing},
		{"DeletedIsGone", testDeletedIsGone},
		{"ConditionDoesNotHold", testConditionDoesNotHold},
		{"BuiltOnOther", testBuiltOnOther},
		{"VersionDoesNotHold", testVersionDoesNotHold},
		{"SecretVersionDoesNotHold", testSecretVersionDoesNotHold},
		{"NotKept", testNotKept},
		{"VersionNotReadable", testVersionNotReadable},

		{"Check", testCheck},
		{"SetAndDelete", testSetAndDelete},
		{"ConditionHolds", testConditionHolds},
		{"BuiltOn", testBuiltOn},
		{"Move", testMove},
		{"MoveWithHistory", testMoveWithHistory},
		{"Overwrite", testOverwrite},
		{"KeyForms", testKeyForms},
		{"KeysSorted", testKeysSorted},
		{"ValueForms", testValueForms},
		{"LargeValue", testLargeValue},
		{"LongKey", testLongKey},
		{"ManyKeys", testManyKeys},
		{"ManyLargeValues", testManyLargeValues},
		{"OrgsApart", testOrgsApart},
		{"InputNotKept", testInputNotKept},
		{"OutputNotShared", testOutputNotShared},
		{"Purge", testPurge},
		{"ForUse", testForUse},
		{"Snapshot", testSnapshot},
		{"Version", testVersion},
		{"SecretVersions", testSecretVersions},
		{"Describe", testDescribe},
		{"Infos", testInfos},
		{"DeletedAndRestored", testDeletedAndRestored},
		{"Marks", testMarks},
		{"MarksOfAnother", testMarksOfAnother},
		{"Remove", testRemove},

		{"ConcurrentDistinctKeys", testConcurrentDistinctKeys},
		{"ConcurrentSameKey", testConcurrentSameKey},
		{"ConcurrentNew", testConcurrentNew},
		{"ConcurrentSetAndDelete", testConcurrentSetAndDelete},
		{"ReadersSeeWholeChanges", testReadersSeeWholeChanges},
		{"ReadersSeeOneMoment", testReadersSeeOneMoment},
		{"ConcurrentVersion", testConcurrentVersion},
		{"ReadersSeeWholeLargeChanges", testReadersSeeWholeLargeChanges},
		{"ReadersDuringPurge", testReadersDuringPurge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

// apply makes a change that must succeed.
func apply(t *testing.T, s secret.Store, org id.ID, c secret.Change) {
	t.Helper()
	if _, err := s.Apply(t.Context(), org, c); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

// set makes a change of pairs: key, value, key, value.
func set(pairs ...string) secret.Change {
	c := secret.Change{Set: map[string]secret.Value{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Set[pairs[i]] = secret.NewValue([]byte(pairs[i+1]))
	}
	return c
}

// keysOf lists, which must succeed.
func keysOf(t *testing.T, s secret.Store, org id.ID) []string {
	t.Helper()
	keys, err := s.Keys(t.Context(), org)
	if err != nil {
		t.Fatalf("Keys: %v", err)
	}
	if keys == nil {
		t.Fatal("Keys gave a nil list")
	}
	return keys
}

func wantKeys(t *testing.T, s secret.Store, org id.ID, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, keysOf(t, s, org)); diff != "" {
		t.Fatalf("Keys (-want +got):\n%s", diff)
	}
}

// wantValue reads, which must give the value. It prints no more of a long one than its length.
func wantValue(t *testing.T, s secret.Store, org id.ID, key, want string) {
	t.Helper()
	v, err := secret.Get(t.Context(), s, org, key)
	if err != nil {
		t.Fatalf("Get(%.80q): %v", key, err)
	}
	if got := string(v.Bytes()); got != want {
		t.Fatalf("Get(%.80q) = %.80q of %d bytes, want %.80q of %d bytes", key, got, len(got), want, len(want))
	}
}

func wantMissing(t *testing.T, s secret.Store, org id.ID, key string) {
	t.Helper()
	if v, err := secret.Get(t.Context(), s, org, key); !errs.Is(err, errs.NotFound) {
		t.Fatalf("Get(%q) = %d bytes, %v; want an error of code %q", key, v.Len(), err, errs.NotFound)
	}
}

func testGetMissing(t *testing.T, s secret.Store) {
	wantMissing(t, s, orgA, "nothing")
	apply(t, s, orgA, set("something", "x"))
	for _, key := range []string{"nothing", "some", "something ", "something/", "Something"} {
		wantMissing(t, s, orgA, key)
	}
	wantMissing(t, s, unknown, "something")
}

func testUnknownOrg(t *testing.T, s secret.Store) {
	wantKeys(t, s, unknown)
	apply(t, s, orgA, set("a", "1"))
	wantKeys(t, s, unknown)
	if err := s.Purge(t.Context(), unknown); err != nil {
		t.Errorf("Purge of an unknown organisation: %v", err)
	}
	wantKeys(t, s, unknown)
	wantKeys(t, s, orgA, "a")
}

func testEndedContext(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("kept", "1"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelLate()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{cancelled, context.Canceled}, {late, context.DeadlineExceeded}} {
		calls := map[string]func() error{
			"Keys":  func() error { _, err := s.Keys(c.ctx, orgA); return err },
			"Get":   func() error { _, err := secret.Get(c.ctx, s, orgA, "kept"); return err },
			"Read":  func() error { _, err := s.Read(c.ctx, orgA, secret.Query{}); return err },
			"Apply": func() error { _, err := s.Apply(c.ctx, orgA, set("new", "1")); return err },
			"Apply of a deletion": func() error {
				_, err := s.Apply(c.ctx, orgA, secret.Change{Delete: []string{"kept"}})
				return err
			},
			"Purge": func() error { return s.Purge(c.ctx, orgA) },
			"Check": func() error { return s.Check(c.ctx) },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, c.want) {
				t.Errorf("%s with an ended context: %v, want %v", name, err, c.want)
			}
		}
	}
	wantKeys(t, s, orgA, "kept")
	wantValue(t, s, orgA, "kept", "1")
}

// testContextEndsDuringApply ends the context at points that differ from run to run: whatever Apply answers, the
// change is there whole or not at all, and the store goes on.
func testContextEndsDuringApply(t *testing.T, s secret.Store) {
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		c := numbered("k", 300)
		done := make(chan error)
		go func() {
			_, err := s.Apply(ctx, orgA, c)
			done <- err
		}()
		for range i * 2000 {
			ctx.Err() // a moment's work, a little longer in each round
		}
		cancel()
		err := <-done
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Apply whose context ended: %v, want nil or %v", err, context.Canceled)
		}
		switch n := len(keysOf(t, s, orgA)); {
		case n != 0 && n != len(c.Set):
			t.Fatalf("after an Apply whose context ended there are %d of %d keys", n, len(c.Set))
		case n == 0 && err == nil:
			t.Fatal("Apply answered nil, and nothing is there")
		}
		if err := s.Purge(t.Context(), orgA); err != nil {
			t.Fatalf("Purge: %v", err)
		}
	}
	apply(t, s, orgA, set("after", "1"))
	wantKeys(t, s, orgA, "after")
}

func testEmptyChange(t *testing.T, s secret.Store) {
	for _, c := range []secret.Change{{}, {Set: map[string]secret.Value{}, Delete: []string{}}} {
		apply(t, s, orgA, c)
		wantKeys(t, s, orgA)
	}
	apply(t, s, orgA, set("a", "1"))
	apply(t, s, orgA, secret.Change{})
	wantKeys(t, s, orgA, "a")
}

func testDeleteMissing(t *testing.T, s secret.Store) {
	apply(t, s, orgA, secret.Change{Delete: []string{"nothing", "at all"}})
	wantKeys(t, s, orgA)
	apply(t, s, orgA, set("a", "1", "b", "2"))
	apply(t, s, orgA, secret.Change{Delete: []string{"nothing", "a"}})
	wantKeys(t, s, orgA, "b")
	wantValue(t, s, orgA, "b", "2")
}

func testDeletedIsGone(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1"))
	apply(t, s, orgA, secret.Change{Delete: []string{"a"}})
	wantMissing(t, s, orgA, "a")
	wantKeys(t, s, orgA)
	apply(t, s, orgA, secret.Change{Delete: []string{"a"}})
	apply(t, s, orgA, set("a", "again"))
	wantValue(t, s, orgA, "a", "again")
	wantKeys(t, s, orgA, "a")
}
