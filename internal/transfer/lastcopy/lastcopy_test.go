package lastcopy

import (
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
)

// The book holds neither names nor values, and is of use only with its key.
func TestBookHidesWhatWasCopied(t *testing.T) {
	data, err := bolt.Open(filepath.Join(t.TempDir(), "copied"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	here, there, value := Place{"here", 1}, Place{"there", 1}, secret.NewValue([]byte("the-value"))
	between := func(key []byte) *Common {
		t.Helper()
		book, err := New(data, key)
		if err != nil {
			t.Fatal(err)
		}
		common, err := book.Between(t.Context(), here, there)
		if err != nil {
			t.Fatal(err)
		}
		return common
	}
	if err := between(make([]byte, 32)).Note(t.Context(), []Secret{{"the-name", value}}); err != nil {
		t.Fatal(err)
	}
	if c := between(make([]byte, 32)); !c.Has("the-name") || !c.Is("the-name", value) {
		t.Errorf("not known with the key: %v", c.known)
	}
	if c := between(append(make([]byte, 31), 1)); !c.Empty() || c.Has("the-name") || c.Is("the-name", value) {
		t.Errorf("known without the key: %v", c.known)
	}
	rs, err := data.List(t.Context(), "", "", 100)
	if err != nil || len(rs) != 2 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	for _, r := range rs {
		if all := r.Key + string(r.Value); strings.Contains(all, "the-name") || strings.Contains(all, "the-value") ||
			strings.Contains(all, "here") {
			t.Errorf("the book shows what was copied: %q", all)
		}
	}
}
