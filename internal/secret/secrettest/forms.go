package secrettest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// numbered is a change that sets n keys, prefix-0000 and on, each to its own name.
func numbered(prefix string, n int) secret.Change {
	c := secret.Change{Set: make(map[string]secret.Value, n)}
	for i := range n {
		key := fmt.Sprintf("%s-%04d", prefix, i)
		c.Set[key] = secret.NewValue([]byte("value of " + key))
	}
	return c
}

// sortedKeys is the list Keys must give when c is all there is.
func sortedKeys(c secret.Change) []string {
	keys := make([]string, 0, len(c.Set))
	for key := range c.Set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func testCheck(t *testing.T, s secret.Store) {
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check of a store at rest: %v", err)
	}
}

func testSetAndDelete(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1", "b", "2", "c", "3"))
	apply(t, s, orgA, secret.Change{Set: set("b", "20", "d", "40").Set, Delete: []string{"a", "c"}})
	wantKeys(t, s, orgA, "b", "d")
	wantValue(t, s, orgA, "b", "20")
	wantValue(t, s, orgA, "d", "40")
	wantMissing(t, s, orgA, "a")
}

func testOverwrite(t *testing.T, s secret.Store) {
	for _, v := range []string{"short", strings.Repeat("long", 5000), "", "short"} {
		apply(t, s, orgA, set("a", v))
		wantValue(t, s, orgA, "a", v)
		wantKeys(t, s, orgA, "a")
	}
}

// testKeyForms has the keys that break stores which build paths, splits or patterns from them.
func testKeyForms(t *testing.T, s secret.Store) {
	keys := []string{
		" ", " leading", "trailing ", "two words", ".", "..", "../..", "a/../b", "/", "//", "/abs", "dir/", "dir/file",
		"dir//file", "%2F", "a%2Fb", "a%252Fb", "%", "%zz", "%00", "a+b", "a?b=c", "a#b", "a&b", "a:b", "a;b", "a=b",
		"a*", "[a]", "{a}", "$a", "`a`", "~", "!", `"quoted"`, `back\slash`, "'", "<b>", "data", "metadata", "delete",
		"{delete}", "null", "true", "0", "-1", "k", "head", "journal", "stage", "031c8cbefe101000", "ключ", "鍵", "🔑",
		"👩‍👩‍👧", "é", "e\u0301", "\u00a0", "\u2028", "\ufeffbom", "\U0010ffff", "ａ",
	}
	c := secret.Change{Set: map[string]secret.Value{}}
	for _, key := range keys {
		c.Set[key] = secret.NewValue([]byte("value of " + key))
	}
	apply(t, s, orgA, c)
	wantKeys(t, s, orgA, sortedKeys(c)...)
	for _, key := range keys {
		wantValue(t, s, orgA, key, "value of "+key)
	}
	// Each is deleted alone and takes no other with it.
	rest := sortedKeys(c)
	for _, key := range keys {
		apply(t, s, orgA, secret.Change{Delete: []string{key}})
		rest = slices.DeleteFunc(rest, func(k string) bool { return k == key })
		wantKeys(t, s, orgA, rest...)
	}
}

func testKeysSorted(t *testing.T, s secret.Store) {
	// In the order of bytes, upper case comes before lower case and U+FFFF before U+10000 (in
	// UTF-16's order it would not).
	want := []string{"!", "A", "B", "a", "a ", "a!", "a/b", "aa", "b", "z", "é", "\uff5e", "\U00010000"}
	for _, i := range []int{5, 0, 12, 11, 3, 7, 1, 9, 2, 4, 10, 8, 6} {
		apply(t, s, orgA, set(want[i], "x"))
	}
	wantKeys(t, s, orgA, want...)
}

func testValueForms(t *testing.T, s secret.Store) {
	values := []string{
		"", " ", "\n", "null", "true", "0", "{}", `"quoted"`, `{"data":{"a":1}}`, "line 1\r\nline 2\r\n", "tab\there",
		"\x00", "a\x00b", "\u2028\u2029", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "пароль",
		"🔑🔒", "<script>&amp;", "100%", "[redacted]", "\ufffd", "\ufeff",
	}
	for i, v := range values {
		apply(t, s, orgA, set(fmt.Sprint(i), v))
	}
	for i, v := range values {
		wantValue(t, s, orgA, fmt.Sprint(i), v)
	}
}

func testLargeValue(t *testing.T, s secret.Store) {
	// The service's limit: 1 MiB. The characters take three bytes each, so that a store that counts others is found.
	large := strings.Repeat("鍵", 1<<20/3) + "."
	apply(t, s, orgA, set("large", large, "small", "s"))
	wantValue(t, s, orgA, "large", large)
	wantKeys(t, s, orgA, "large", "small")
	apply(t, s, orgA, secret.Change{Delete: []string{"large"}})
	wantKeys(t, s, orgA, "small")
}

func testLongKey(t *testing.T, s secret.Store) {
	// The service's limit: 1 KiB. The two differ in the last byte only.
	long := strings.Repeat("/%", 511) + "x"
	keys := []string{long + "1", long + "2"}
	apply(t, s, orgA, set(keys[0], "one", keys[1], "two"))
	wantKeys(t, s, orgA, keys...)
	wantValue(t, s, orgA, keys[0], "one")
	wantValue(t, s, orgA, keys[1], "two")
	apply(t, s, orgA, secret.Change{Delete: keys[:1]})
	wantKeys(t, s, orgA, keys[1])
}

func testManyKeys(t *testing.T, s secret.Store) {
	c := numbered("key", 600) // more than a journal's part holds over Vault
	apply(t, s, orgA, set("before", "1", "key-0007", "old"))
	apply(t, s, orgA, c)
	wantKeys(t, s, orgA, append([]string{"before"}, sortedKeys(c)...)...)
	for _, key := range []string{"key-0000", "key-0007", "key-0127", "key-0128", "key-0599"} {
		wantValue(t, s, orgA, key, "value of "+key)
	}
	// Delete half of them, set the others anew, all in one change.
	half := secret.Change{Set: map[string]secret.Value{}}
	for i, key := range sortedKeys(c) {
		if i%2 == 0 {
			half.Delete = append(half.Delete, key)
		} else {
			half.Set[key] = secret.NewValue([]byte("new " + key))
		}
	}
	apply(t, s, orgA, half)
	wantKeys(t, s, orgA, append([]string{"before"}, sortedKeys(half)...)...)
	wantValue(t, s, orgA, "key-0007", "new key-0007")
	wantMissing(t, s, orgA, "key-0008")
	wantValue(t, s, orgA, "before", "1")
}

func testManyLargeValues(t *testing.T, s secret.Store) {
	// 4 MiB in one change, the service's limit of a body; one key is set, one overwritten, one deleted in it.
	apply(t, s, orgA, set("big-1", "old", "gone", "1"))
	c := secret.Change{Set: map[string]secret.Value{}, Delete: []string{"gone"}}
	for i := range 4 {
		c.Set[fmt.Sprintf("big-%d", i)] = secret.NewValue([]byte(strings.Repeat(string(rune('a'+i)), 1<<20-200)))
	}
	apply(t, s, orgA, c)
	wantKeys(t, s, orgA, "big-0", "big-1", "big-2", "big-3")
	for key, v := range c.Set {
		wantValue(t, s, orgA, key, string(v.Bytes()))
	}
}

func testOrgsApart(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("same", "A's", "only A", "1"))
	wantKeys(t, s, orgB)
	apply(t, s, orgB, set("same", "B's"))
	wantValue(t, s, orgA, "same", "A's")
	wantValue(t, s, orgB, "same", "B's")
	wantMissing(t, s, orgB, "only A")
	apply(t, s, orgB, secret.Change{Delete: []string{"same", "only A"}})
	wantKeys(t, s, orgB)
	wantKeys(t, s, orgA, "only A", "same")
}

func testInputNotKept(t *testing.T, s secret.Store) {
	b := []byte("value")
	c := secret.Change{Set: map[string]secret.Value{"a": secret.NewValue(b)}, Delete: []string{"x"}}
	apply(t, s, orgA, c)
	clear(c.Set)
	c.Delete[0] = "a"
	copy(b, "WRONG") // whoever made the value may wipe it when the change is made
	wantKeys(t, s, orgA, "a")
	wantValue(t, s, orgA, "a", "value")
}

func testOutputNotShared(t *testing.T, s secret.Store) {
	apply(t, s, orgA, set("a", "1", "b", "2"))
	for _, q := range []secret.Query{{}, {ForUse: true}, {Keys: []string{"a", "b"}, ForUse: true}} {
		for range 2 { // the second may come from a cache
			snap := snapshotOf(t, s, q)
			if len(snap.Secrets) != 2 || string(snap.Secrets["a"].Value.Bytes()) != "1" {
				t.Fatalf("read were %d secrets, a of %d bytes", len(snap.Secrets), snap.Secrets["a"].Value.Len())
			}
			snap.Secrets["a"] = secret.Secret{Value: secret.NewValue([]byte("changed by its owner"))}
			delete(snap.Secrets, "b")
		}
	}
}

func testPurge(t *testing.T, s secret.Store) {
	// More than one page, transaction or batch of any store.
	for _, org := range []id.ID{orgA, orgB} {
		apply(t, s, org, numbered("key", 500))
		apply(t, s, org, set("../k", "1", "key", "2"))
	}
	for range 2 {
		if err := s.Purge(t.Context(), orgA); err != nil {
			t.Fatalf("Purge: %v", err)
		}
		wantKeys(t, s, orgA)
		wantMissing(t, s, orgA, "key-0001")
		wantMissing(t, s, orgA, "../k")
	}
	if got := len(keysOf(t, s, orgB)); got != 502 {
		t.Fatalf("Purge of another organisation left %d of 502 keys", got)
	}
	wantValue(t, s, orgB, "../k", "1")
	apply(t, s, orgA, set("new", "life"))
	wantKeys(t, s, orgA, "new")
	wantValue(t, s, orgA, "new", "life")
}
