package kvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/kv"
)

func testPutGetDelete(t *testing.T, s kv.Store) {
	for _, v := range []string{"1", "", "two", strings.Repeat("x", 100_000), "\x00\xff"} {
		txn(t, s, nil, put("a", v))
		wantValue(t, s, "a", v)
	}
	txn(t, s, nil, kv.Delete("a"), put("b", "1"))
	wantMissing(t, s, "a")
	txn(t, s, nil, kv.Delete("a")) // a missing key is no error
	txn(t, s, nil, put("a", "again"))
	wantValue(t, s, "a", "again")
	wantValue(t, s, "b", "1")
}

func testConditions(t *testing.T, s kv.Store) {
	txn(t, s, []kv.Cond{kv.Missing("a"), kv.Missing("b")}, put("a", "1"))
	a := get(t, s, "a")
	// A condition may be on a key the transaction does not touch, and on one it does.
	txn(t, s, []kv.Cond{kv.Unchanged(a), kv.Missing("b")}, put("b", "1"))
	txn(t, s, []kv.Cond{kv.Unchanged(a)}, put("a", "2"))
	txn(t, s, []kv.Cond{kv.Unchanged(get(t, s, "a"))}, kv.Delete("a"))
	txn(t, s, []kv.Cond{kv.Missing("a")}, put("a", "3"))
	wantValue(t, s, "a", "3")
	// A record put anew with the value it had has changed all the same.
	b := get(t, s, "b")
	txn(t, s, nil, put("b", "1"))
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(b)}, []kv.Op{put("b", "x")}); err == nil {
		t.Error("a condition on an overwritten record holds because the value is the same")
	}
	// So has one deleted and made again.
	b = get(t, s, "b")
	txn(t, s, nil, kv.Delete("b"))
	txn(t, s, nil, put("b", "1"))
	if _, err := s.Txn(t.Context(), []kv.Cond{kv.Unchanged(b)}, []kv.Op{put("b", "x")}); err == nil {
		t.Error("a condition on a record made anew holds")
	}
}

func testRevisions(t *testing.T, s kv.Store) {
	last := int64(0)
	for i := range 20 {
		ops := []kv.Op{put("a", fmt.Sprint(i)), put("b", "x")}
		if i%5 == 4 {
			ops = []kv.Op{kv.Delete("b")}
		}
		rev := txn(t, s, nil, ops...)
		if rev <= last {
			t.Fatalf("the revision went from %d to %d", last, rev)
		}
		last = rev
		if len(ops) == 1 {
			continue
		}
		// Both records of the transaction have its revision, by Get and by List.
		recs := list(t, s, "", "", 10)
		if len(recs) != 2 || recs[0].Rev != rev || recs[1].Rev != rev || get(t, s, "a").Rev != rev {
			t.Fatalf("the transaction gave %d, the records say %v", rev, recs)
		}
	}
	// A record that a transaction does not put keeps its revision.
	b := txn(t, s, nil, put("b", "x"))
	txn(t, s, nil, put("a", "last"))
	if got := get(t, s, "b").Rev; got != b {
		t.Errorf("an untouched record went from revision %d to %d", b, got)
	}
}

// oddKeys are in the order of their bytes.
var oddKeys = []string{
	"\x00", "\x00\x00", "\x01", " ", "%2F", "../x", "/", "//", "a", "a\x00", "a\x00b", "a/", "a/b", "a0", "aa", "b",
	"é", "鍵", "🔑", "\xfe\xff", "\xff", "\xff\x00", "\xff\xff", "\xff\xff\xff",
}

func testOddKeys(t *testing.T, s kv.Store) {
	var ops []kv.Op
	for i := range oddKeys { // last to first: the order of putting is not that of listing
		key := oddKeys[len(oddKeys)-1-i]
		ops = append(ops, put(key, "value of "+key))
	}
	txn(t, s, nil, ops...)
	wantList(t, s, "", "", 100, oddKeys...)
	for _, key := range oddKeys {
		wantValue(t, s, key, "value of "+key)
	}
	for i, key := range oddKeys {
		txn(t, s, []kv.Cond{kv.Unchanged(get(t, s, key))}, kv.Delete(key))
		wantList(t, s, "", "", 100, oddKeys[i+1:]...)
	}
}

func testListOrder(t *testing.T, s kv.Store) {
	wantList(t, s, "", "", 10)
	wantList(t, s, "a", "", 10)
	for _, key := range []string{"b", "a", "C", "ab", "a!"} {
		txn(t, s, nil, put(key, "1"))
	}
	wantList(t, s, "", "", 10, "C", "a", "a!", "ab", "b")
}

func testListPages(t *testing.T, s kv.Store) {
	var all []string
	for i := range 25 {
		key := fmt.Sprintf("p/%02d", i)
		all = append(all, key)
		txn(t, s, nil, put(key, key), put("q"+key, "other"), put("o"+key, "other"))
	}
	for _, limit := range []int{1, 7, 24, 25, 26, 1 << 30} {
		var got []string
		for after := ""; ; {
			page := list(t, s, "p/", after, limit)
			if len(page) > limit {
				t.Fatalf("%d records, at most %d were asked for", len(page), limit)
			}
			for _, rec := range page {
				got = append(got, rec.Key)
				if string(rec.Value) != rec.Key {
					t.Fatalf("%q has the value %q", rec.Key, rec.Value)
				}
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Key
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Fatalf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	// The key after need not exist, may be outside the prefix, before or behind it.
	wantList(t, s, "p/", "p/03x", 2, "p/04", "p/05")
	wantList(t, s, "p/", "a", 1, "p/00")
	wantList(t, s, "p/", "p", 1, "p/00")
	wantList(t, s, "p/", "p/", 1, "p/00")
	wantList(t, s, "p/", "p/24", 9)
	wantList(t, s, "p/", "z", 9)
}

func testListBack(t *testing.T, s kv.Store) {
	wantBack(t, s, "", "", 3)
	wantBack(t, s, "p/", "", 3)
	var all []string
	for i := range 25 {
		key := fmt.Sprintf("p/%02d", i)
		all = append(all, key)
		txn(t, s, nil, put(key, key), put("q"+key, "other"), put("o"+key, "other"))
	}
	slices.Reverse(all)
	for _, limit := range []int{1, 7, 24, 25, 26, 1 << 30} {
		var got []string
		for before := ""; ; {
			page, err := s.ListBack(t.Context(), "p/", before, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d records, at most %d were asked for: %v", len(page), limit, err)
			}
			for _, rec := range page {
				got = append(got, rec.Key)
				if string(rec.Value) != rec.Key || rec.Rev == 0 {
					t.Fatalf("%q has the value %q and the revision %d", rec.Key, rec.Value, rec.Rev)
				}
			}
			if len(page) < limit {
				break
			}
			before = page[len(page)-1].Key
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Fatalf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	// The key before need not exist, may be outside the prefix, before or behind it.
	wantBack(t, s, "p/", "p/03x", 2, "p/03", "p/02")
	wantBack(t, s, "p/", "z", 1, "p/24")
	wantBack(t, s, "p/", "p0", 1, "p/24")
	wantBack(t, s, "p/", "p/00", 9)
	wantBack(t, s, "p/", "p/", 9)
	wantBack(t, s, "p/", "a", 9)
	wantBack(t, s, "", "", 1, "qp/24")
	txn(t, s, nil, put("\xff", "1"), put("\xff\xff", "1"), put("\xff\xff\x01", "1"))
	wantBack(t, s, "\xff", "", 9, "\xff\xff\x01", "\xff\xff", "\xff")
	wantBack(t, s, "\xff\xff", "\xff\xff\x01", 9, "\xff\xff")
	wantBack(t, s, "", "", 2, "\xff\xff\x01", "\xff\xff")
	if _, err := s.ListBack(t.Context(), "p/", "", 0); !errors.Is(err, kv.ErrInvalid) {
		t.Errorf("a list of none from the end: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ListBack(ended, "p/", "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a list from the end for one who has left: %v", err)
	}
}

// testProbe asks an engine that tells of many keys at once for those that are there and others, near to each other and
// far, in order and out of it.
func testProbe(t *testing.T, s kv.Store) {
	e, ok := s.(kv.Prober)
	if !ok {
		t.Skip("this engine does not tell of many keys at once")
	}
	var ops []kv.Op
	for n := range 100 {
		ops = append(ops, kv.Put(fmt.Sprintf("p/%03d", 3*n), nil))
	}
	txn(t, s, nil, ops...)
	ask := func(keys ...string) {
		t.Helper()
		there, err := e.Probe(t.Context(), keys)
		if err != nil || len(there) != len(keys) {
			t.Fatalf("Probe(%q) = %v, %v", keys, there, err)
		}
		for i, key := range keys {
			_, err := s.Get(t.Context(), key)
			if got := there[i]; got != (err == nil) {
				t.Errorf("Probe(%q): %q is there: %t; Get: %v", keys, key, got, err)
			}
		}
	}
	ask()
	ask("q")
	ask("")
	var all []string
	for n := range 310 {
		all = append(all, fmt.Sprintf("p/%03d", n))
	}
	ask(all...)
	slices.Reverse(all)
	ask(all...)
	for step := 2; step < 40; step += 5 {
		var some []string
		for n := 0; n < 310; n += step {
			some = append(some, fmt.Sprintf("p/%03d", n))
		}
		ask(append(some, "a", "p/", "p/003", "p/003", "p/0031", "z", "p/000", "z", "z")...)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := e.Probe(ended, []string{"p/000"}); !errors.Is(err, context.Canceled) {
		t.Errorf("for somebody who has gone: %v", err)
	}
}

// testSkip has as many records passed over as a list has, from either end and from wherever it begins.
func testSkip(t *testing.T, s kv.Store) {
	for i := range 25 {
		key := fmt.Sprintf("p/%02d", i)
		txn(t, s, nil, put(key, key), put("q"+key, "other"), put("o"+key, "other"))
	}
	for _, back := range []bool{false, true} {
		list := s.List
		if back {
			list = s.ListBack
		}
		for _, from := range []string{"", "p/", "p/00", "p/07", "p/07x", "p/24", "p0", "a", "z"} {
			for _, n := range []int{1, 2, 24, 25, 26, 1000} {
				recs, err := list(t.Context(), "p/", from, n)
				if err != nil {
					t.Fatal(err)
				}
				want := ""
				if len(recs) == n {
					want = recs[n-1].Key
				}
				last, passed, err := kv.Skip(t.Context(), s, "p/", from, back, n)
				if err != nil || last != want || passed != len(recs) {
					t.Errorf("%d from %q, back %v: %q, %d, %v, not %q, %d", n, from, back, last, passed, err, want,
						len(recs))
				}
			}
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := kv.Skip(ended, s, "p/", "", false, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("for one who has left: %v", err)
	}
}

func wantBack(t *testing.T, s kv.Store, prefix, before string, limit int, want ...string) {
	t.Helper()
	recs, err := s.ListBack(t.Context(), prefix, before, limit)
	got := []string{}
	for _, rec := range recs {
		got = append(got, rec.Key)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); err != nil || diff != "" {
		t.Fatalf("ListBack(%q, %q, %d): %v (-want +got):\n%s", prefix, before, limit, err, diff)
	}
}

func testListPrefix(t *testing.T, s kv.Store) {
	var ops []kv.Op
	for _, key := range oddKeys {
		ops = append(ops, put(key, "1"))
	}
	txn(t, s, nil, ops...)
	for _, prefix := range append([]string{"", "nothing", "\xfe", "a/b/c"}, oddKeys...) {
		var want []string
		for _, key := range oddKeys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		wantList(t, s, prefix, "", 100, want...)
	}
}

func testDeletePrefix(t *testing.T, s kv.Store) {
	for _, prefix := range append([]string{"nothing", "\xfe", "a/b/c"}, oddKeys...) {
		var ops []kv.Op
		var rest []string
		for _, key := range oddKeys {
			ops = append(ops, put(key, "1"))
			if !strings.HasPrefix(key, prefix) {
				rest = append(rest, key)
			}
		}
		txn(t, s, nil, ops...)
		txn(t, s, nil, kv.DeletePrefix(prefix))
		wantList(t, s, "", "", 100, rest...)
	}
	// Far more keys than a transaction has operations, and one put beside them.
	for i := range 10 {
		var ops []kv.Op
		for j := range 100 {
			ops = append(ops, put(fmt.Sprintf("many/%d/%d", i, j), "x"))
		}
		txn(t, s, nil, ops...)
	}
	txn(t, s, nil, kv.DeletePrefix("many/"), put("many", "left"))
	wantList(t, s, "many", "", 10, "many")
}

// testDeleteSome deletes more than a transaction takes, by number and by the length of the keys, and only while its
// condition holds.
func testDeleteSome(t *testing.T, s kv.Store) {
	for i := range 10 {
		var ops []kv.Op
		for j := range 100 {
			ops = append(ops, put(fmt.Sprintf("many/%d/%d", i, j), "x"))
		}
		txn(t, s, nil, ops...)
	}
	for i := range 2 * kv.MaxTxnBytes / kv.MaxKey {
		key := fmt.Sprintf("long/%03d/", i)
		txn(t, s, nil, put(key+strings.Repeat("k", kv.MaxKey-len(key)), "x"))
	}
	txn(t, s, nil, put("mark", "1"), put("many", "left"))
	for prefix, want := range map[string]int{"many/": 1000, "long/": 2 * kv.MaxTxnBytes / kv.MaxKey, "none": 0} {
		if n, err := kv.DeleteSome(t.Context(), s, []kv.Cond{kv.Missing("mark")}, prefix, 5000); want > 0 &&
			!errors.Is(err, kv.ErrConflict) || n != 0 {
			t.Errorf("%s: deleted %d under a condition that does not hold: %v", prefix, n, err)
		}
		all := 0
		for n := 1; n > 0; all += n {
			var err error
			if n, err = kv.DeleteSome(t.Context(), s, nil, prefix, 300); err != nil {
				t.Fatal(err)
			}
		}
		if all != want {
			t.Errorf("%s: %d deleted, want %d", prefix, all, want)
		}
	}
	wantList(t, s, "", "", 10, "many", "mark")
}

// testSlices changes every slice that went in or came out, and finds the store unchanged.
func testSlices(t *testing.T, s kv.Store) {
	value := []byte("value")
	ops := []kv.Op{kv.Put("a", value)}
	conds := []kv.Cond{kv.Missing("a")}
	txn(t, s, conds, ops...)
	copy(value, "WRONG")
	ops[0], conds[0] = put("x", "x"), kv.Missing("x")
	wantValue(t, s, "a", "value")

	rec := get(t, s, "a")
	copy(rec.Value, "WRONG")
	rec.Value = append(rec.Value[:1], "WRONG"...)
	recs := list(t, s, "", "", 10)
	copy(recs[0].Value, "WRONG")
	recs[0].Key = "x"
	wantValue(t, s, "a", "value")
	wantList(t, s, "", "", 10, "a")
}
