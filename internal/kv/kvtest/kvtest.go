// Package kvtest is the suite every kv.Store passes. An engine's own test file is ten lines around Test.
package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/kv"
)

// Test runs the suite. open gives a new, empty store at each call and arranges, by t.Cleanup, that it is closed; the
// suite may have closed it already.
func Test(t *testing.T, open func(t *testing.T) kv.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, s kv.Store)
	}{
		// What goes wrong comes first.
		{"GetMissing", testGetMissing},
		{"Malformed", testMalformed},
		{"Limits", testLimits},
		{"Ample", testAmple},
		{"Conflict", testConflict},
		{"EndedContext", testEndedContext},
		{"Closed", testClosed},
		{"WatchEnds", testWatchEnds},
		{"ListLimit", testListLimit},

		{"PutGetDelete", testPutGetDelete},
		{"Conditions", testConditions},
		{"Revisions", testRevisions},
		{"OddKeys", testOddKeys},
		{"ListOrder", testListOrder},
		{"ListPages", testListPages},
		{"ListBack", testListBack},
		{"Skip", testSkip},
		{"Probe", testProbe},
		{"ListPrefix", testListPrefix},
		{"DeletePrefix", testDeletePrefix},
		{"DeleteSome", testDeleteSome},
		{"SlicesAreTheCallers", testSlices},

		{"ConcurrentCounter", testCounter},
		{"ConcurrentPuts", testConcurrentPuts},
		{"ConcurrentCreate", testConcurrentCreate},
		{"ConflictLeavesOthersAlone", testConflictLeavesOthersAlone},
		{"ReadersSeeWholeTransactions", testReaders},
		{"CloseWaits", testCloseWaits},

		{"Watch", testWatch},
		{"WatchCounts", testWatchCounts},
		{"Hold", testHold},

		{"Model", testModel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

// txn makes a transaction that must succeed.
func txn(t *testing.T, s kv.Store, conds []kv.Cond, ops ...kv.Op) int64 {
	t.Helper()
	rev, err := s.Txn(t.Context(), conds, ops)
	if err != nil {
		t.Fatalf("Txn: %v", err)
	}
	if rev < 1 {
		t.Fatalf("Txn gave the revision %d", rev)
	}
	return rev
}

func put(key, value string) kv.Op { return kv.Put(key, []byte(value)) }

// get reads a record that must be there.
func get(t *testing.T, s kv.Store, key string) kv.Record {
	t.Helper()
	rec, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%.80q): %v", key, err)
	}
	if rec.Key != key {
		t.Fatalf("Get(%.80q) gave the record of %.80q", key, rec.Key)
	}
	return rec
}

func wantValue(t *testing.T, s kv.Store, key, want string) {
	t.Helper()
	if got := string(get(t, s, key).Value); got != want {
		t.Fatalf("%.80q is %.80q, want %.80q", key, got, want)
	}
}

func wantMissing(t *testing.T, s kv.Store, key string) {
	t.Helper()
	if rec, err := s.Get(t.Context(), key); !errors.Is(err, kv.ErrNotFound) {
		t.Fatalf("Get(%q) = %q, %v; want %v", key, rec.Value, err, kv.ErrNotFound)
	}
}

func list(t *testing.T, s kv.Store, prefix, after string, limit int) []kv.Record {
	t.Helper()
	recs, err := s.List(t.Context(), prefix, after, limit)
	if err != nil {
		t.Fatalf("List(%q, %q, %d): %v", prefix, after, limit, err)
	}
	return recs
}

func wantList(t *testing.T, s kv.Store, prefix, after string, limit int, want ...string) {
	t.Helper()
	got := []string{}
	for _, rec := range list(t, s, prefix, after, limit) {
		got = append(got, rec.Key)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Fatalf("List(%q, %q, %d) (-want +got):\n%s", prefix, after, limit, diff)
	}
}

func testGetMissing(t *testing.T, s kv.Store) {
	wantMissing(t, s, "a")
	wantMissing(t, s, "")
	txn(t, s, nil, put("ab", "1"))
	for _, key := range []string{"a", "abc", "ab\x00", "", strings.Repeat("x", kv.MaxKey+1)} {
		wantMissing(t, s, key)
	}
}

func testMalformed(t *testing.T, s kv.Store) {
	for name, c := range map[string]struct {
		conds []kv.Cond
		ops   []kv.Op
	}{
		"no operation":          {[]kv.Cond{kv.Missing("a")}, nil},
		"no key":                {nil, []kv.Op{put("a", "1"), put("", "1")}},
		"no key to delete":      {nil, []kv.Op{kv.Delete("")}},
		"no prefix":             {nil, []kv.Op{kv.DeletePrefix("")}},
		"no key in a condition": {[]kv.Cond{kv.Missing("")}, []kv.Op{put("a", "1")}},
		"unknown kind":          {nil, []kv.Op{{Key: "a"}}},
		"one key twice":         {nil, []kv.Op{put("a", "1"), kv.Delete("a")}},
		"inside a prefix":       {nil, []kv.Op{kv.DeletePrefix("a"), put("ab", "1")}},
	} {
		if _, err := s.Txn(t.Context(), c.conds, c.ops); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, kv.ErrInvalid)
		}
	}
	wantList(t, s, "", "", 10)
}

func testLimits(t *testing.T, s kv.Store) {
	manyOps := func(n int) (ops []kv.Op) {
		for i := range n {
			ops = append(ops, put(fmt.Sprintf("op-%03d", i), "x"))
		}
		return ops
	}
	manyConds := func(n int) (conds []kv.Cond) {
		for i := range n {
			conds = append(conds, kv.Missing(fmt.Sprintf("cond-%03d", i)))
		}
		return conds
	}
	long := strings.Repeat("k", kv.MaxKey)
	over := map[string]struct {
		conds []kv.Cond
		ops   []kv.Op
	}{
		"operations": {nil, manyOps(kv.MaxOps + 1)},
		"conditions": {manyConds(kv.MaxOps + 1), manyOps(1)},
		"bytes":      {nil, []kv.Op{put("a", "1"), put("b", strings.Repeat("x", kv.MaxTxnBytes-2))}},
		"key":        {nil, []kv.Op{put("a", "1"), put(long+"k", "")}},
	}
	for name, c := range over {
		if _, err := s.Txn(t.Context(), c.conds, c.ops); !errors.Is(err, kv.ErrTooLarge) {
			t.Errorf("over the limit of %s: %v, want %v", name, err, kv.ErrTooLarge)
		}
	}
	wantList(t, s, "", "", 10)
	// At the edge of each limit, it works.
	txn(t, s, manyConds(kv.MaxOps), manyOps(kv.MaxOps)...)
	if got := len(list(t, s, "op-", "", 1000)); got != kv.MaxOps {
		t.Errorf("%d of %d operations were carried out", got, kv.MaxOps)
	}
	big := strings.Repeat("x", kv.MaxTxnBytes-1)
	txn(t, s, nil, put("b", big))
	wantValue(t, s, "b", big)
	txn(t, s, []kv.Cond{kv.Missing(long)}, put(long, "x"))
	wantValue(t, s, long, "x")
	wantList(t, s, long, "", 2, long)
	txn(t, s, nil, kv.Delete(long))
	wantMissing(t, s, long)
}

// testAmple asks an engine that takes large transactions for them.
func testAmple(t *testing.T, s kv.Store) {
	a, ok := s.(kv.Ample)
	if !ok {
		return
	}
	var ops []kv.Op
	for n := range kv.AmpleOps {
		ops = append(ops, put(fmt.Sprintf("op-%05d", n), strings.Repeat("v", n%200)))
	}
	if _, err := a.TxnAmple(t.Context(), nil, append(slices.Clone(ops), put("one more", ""))); !errors.Is(err,
		kv.ErrTooLarge) {
		t.Errorf("over the limit of operations: %v, want %v", err, kv.ErrTooLarge)
	}
	large := []kv.Op{put("a", ""), put("b", strings.Repeat("x", kv.AmpleBytes-1))}
	if _, err := a.TxnAmple(t.Context(), nil, large); !errors.Is(err, kv.ErrTooLarge) {
		t.Errorf("over the limit of bytes: %v, want %v", err, kv.ErrTooLarge)
	}
	if _, err := a.TxnAmple(t.Context(), []kv.Cond{{Key: "op-00000", Rev: 1}}, ops); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("a condition that does not hold: %v, want %v", err, kv.ErrConflict)
	}
	wantList(t, s, "", "", 10)
	rev, err := a.TxnAmple(t.Context(), []kv.Cond{kv.Missing("op-00000")}, ops)
	if err != nil {
		t.Fatal(err)
	}
	all := list(t, s, "op-", "", kv.AmpleOps+1)
	if len(all) != kv.AmpleOps {
		t.Fatalf("%d of %d operations were carried out", len(all), kv.AmpleOps)
	}
	for n, r := range all {
		if r.Key != ops[n].Key || string(r.Value) != string(ops[n].Value) || r.Rev != rev {
			t.Fatalf("operation %d: %q with %d bytes at revision %d, want %q with %d at %d", n, r.Key, len(r.Value),
				r.Rev, ops[n].Key, len(ops[n].Value), rev)
		}
	}
	large[0].Value = nil
	large[1].Value = large[1].Value[:kv.AmpleBytes-len("ab")]
	if _, err := a.TxnAmple(t.Context(), nil, large); err != nil {
		t.Error(err)
	}
	wantValue(t, s, "b", string(large[1].Value))
}

func testConflict(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("a", "1"))
	old := get(t, s, "a")
	txn(t, s, nil, put("a", "2"))
	txn(t, s, nil, put("gone", "1"))
	gone := get(t, s, "gone")
	txn(t, s, nil, kv.Delete("gone"))
	now := get(t, s, "a")
	for name, conds := range map[string][]kv.Cond{
		"present":          {kv.Missing("a")},
		"stale":            {kv.Unchanged(old)},
		"deleted":          {kv.Unchanged(gone)},
		"never there":      {{Key: "never", Rev: 1}},
		"one of several":   {kv.Unchanged(now), kv.Missing("never"), kv.Missing("a")},
		"from the future":  {{Key: "a", Rev: now.Rev + 100}},
		"negative":         {{Key: "a", Rev: -1}},
		"negative, absent": {{Key: "never", Rev: -1}},
	} {
		ops := []kv.Op{put("new", "x"), kv.Delete("a"), kv.DeletePrefix("b")}
		if _, err := s.Txn(t.Context(), conds, ops); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("%s: %v, want %v", name, err, kv.ErrConflict)
		}
	}
	wantList(t, s, "", "", 10, "a")
	if diff := cmp.Diff(now, get(t, s, "a")); diff != "" {
		t.Errorf("refused transactions changed a record (-before +after):\n%s", diff)
	}
}

func testEndedContext(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("a", "1"))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelLate()
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{cancelled, context.Canceled}, {late, context.DeadlineExceeded}} {
		_, getErr := s.Get(c.ctx, "a")
		_, listErr := s.List(c.ctx, "", "", 1)
		_, txnErr := s.Txn(c.ctx, nil, []kv.Op{put("a", "2")})
		for name, err := range map[string]error{"Get": getErr, "List": listErr, "Txn": txnErr} {
			if !errors.Is(err, c.want) {
				t.Errorf("%s with an ended context: %v, want %v", name, err, c.want)
			}
		}
	}
	wantValue(t, s, "a", "1")
}

func testClosed(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("a", "1"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		_, getErr := s.Get(t.Context(), "a")
		_, listErr := s.List(t.Context(), "", "", 1)
		_, txnErr := s.Txn(t.Context(), nil, []kv.Op{put("a", "2")})
		for name, err := range map[string]error{"Get": getErr, "List": listErr, "Txn": txnErr} {
			if !errors.Is(err, kv.ErrClosed) {
				t.Errorf("%s after Close: %v, want %v", name, err, kv.ErrClosed)
			}
		}
	}
}

func testListLimit(t *testing.T, s kv.Store) {
	txn(t, s, nil, put("a", "1"))
	for _, limit := range []int{0, -1} {
		if recs, err := s.List(t.Context(), "", "", limit); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("List with the limit %d: %d records, %v; want %v", limit, len(recs), err, kv.ErrInvalid)
		}
	}
}
