package secrets

import (
	"strings"
	"testing"

	"strongroom/internal/id"
)

func TestListCache(t *testing.T) {
	var c listCache
	one, other := []string{"a", "b"}, []string{"a", "c"}
	first := c.answer(1, one)
	if again := c.answer(1, []string{"a", "b"}); &again[0] != &first[0] {
		t.Error("the same list was encoded twice")
	}
	for name, got := range map[string][]byte{
		"other names": c.answer(1, other), "fewer of them": c.answer(1, other[:1]), "of another organisation": c.answer(2, one), "none": c.answer(1, nil),
	} {
		want := map[string]string{"other names": `["a","c"]`, "fewer of them": `["a"]`, "of another organisation": `["a","b"]`, "none": `[]`}[name]
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if !strings.Contains(string(c.answer(2, one)), id.ID(2).String()) {
		t.Error("the links are another organisation's")
	}
	long := []string{strings.Repeat("k", maxListCache/3)}
	for i := range 9 {
		c.answer(id.ID(i+1), []string{long[0]})
		if c.size > maxListCache {
			t.Fatalf("%d bytes are kept", c.size)
		}
	}
	c.answer(3, []string{strings.Repeat("k", maxListCache)})
	total := 0
	for _, a := range c.lists {
		total += len(a.body)
	}
	if total != c.size || len(c.lists) == 0 {
		t.Errorf("%d bytes in %d answers are counted as %d", total, len(c.lists), c.size)
	}
}
