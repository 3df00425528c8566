package secrets

import (
	"strings"
	"testing"

	"strongroom/internal/id"
)

func TestListCache(t *testing.T) {
	c := newListCache()
	answer := func(org id.ID, keys []string) []byte {
		b, err := c.answer(org, keys)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, other := []string{"a", "b"}, []string{"a", "c"}
	first := answer(1, one)
	if again := answer(1, []string{"a", "b"}); &again[0] != &first[0] {
		t.Error("the same list was encoded twice")
	}
	for name, got := range map[string][]byte{
		"other names": answer(1, other), "fewer of them": answer(1, other[:1]),
		"of another organisation": answer(2, one), "none": answer(1, nil),
	} {
		want := map[string]string{"other names": `["a","c"]`, "fewer of them": `["a"]`,
			"of another organisation": `["a","b"]`, "none": `[]`}[name]
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if !strings.Contains(string(answer(2, one)), id.ID(2).String()) {
		t.Error("the links are another organisation's")
	}
	// One that is larger than all may be is answered as well.
	if long := answer(3, []string{strings.Repeat("k", maxListCache)}); len(long) < maxListCache {
		t.Errorf("a long list is answered with %d bytes", len(long))
	}
}
