package cache

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

func TestBound(t *testing.T) {
	c := New(1000)
	names := func() []string { return []string{strings.Repeat("n", 100), strings.Repeat("m", 100)} } // 360 bytes each
	for i := range 10 {
		c.Put(id.ID(i+1), 5, names())
	}
	if n := c.lists.Len(); n != 2 {
		t.Errorf("%d lists are kept, want 2", n)
	}
	if _, ok := c.Names(10, 5); !ok {
		t.Error("the newest list is not kept")
	}
	if _, ok := c.Names(10, 6); ok {
		t.Error("a list of another revision was given")
	}
	c.Put(10, 4, nil)
	if keys, ok := c.Names(10, 5); !ok || len(keys) != 2 {
		t.Error("an older list has taken the place of a newer one")
	}
	c.Put(10, 6, slices.Repeat(names(), 10))
	if _, ok := c.Names(10, 6); ok || c.lists.Len() != 1 {
		t.Errorf("a list larger than the cache is kept, or another is not: %d lists", c.lists.Len())
	}
}

// TestValuesLieSealed keeps values, which are given as they were and do not lie in memory in clear.
func TestValuesLieSealed(t *testing.T) {
	const org = 1
	c := New(MaxLists)
	all := make(map[string]secret.Secret)
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("key-%02d", i)
		names = append(names, name)
		all[name] = secret.Secret{Value: secret.NewValue(fmt.Appendf(nil, "the value %d", i))}
	}
	c.Put(org, 7, slices.Clone(names))
	of := SealedOf{Term: 3}
	c.PutValues(org, 7, of, all)
	l, _ := c.lists.Get(org)
	for key, got := range all {
		if bytes.Contains(l.sealed, got.Value.Bytes()) {
			t.Fatalf("the value of %s lies in memory in clear", key)
		}
	}
	if got := l.size(); len(l.sealed) == 0 || got < len(l.sealed) {
		t.Errorf("it counts as %d bytes, and has %d of values alone", got, len(l.sealed))
	}
	keys, got, ok := c.Values(org, 7, of, secret.Query{})
	if !ok || !slices.Equal(keys, names) || len(got) != len(all) || !got["key-11"].Value.Equal(all["key-11"].Value) {
		t.Errorf("given are %q, %d values, %v", keys, len(got), ok)
	}
	for what, ask := range map[string]struct {
		rev int64
		of  SealedOf
		q   secret.Query
	}{
		"another revision":          {8, of, secret.Query{}},
		"another term":              {7, SealedOf{Term: 4}, secret.Query{}},
		"no term":                   {7, SealedOf{}, secret.Query{}},
		"versions that are unknown": {7, of, secret.Query{Versions: true}},
	} {
		if _, got, ok := c.Values(org, ask.rev, ask.of, ask.q); ok || len(got) > 0 {
			t.Errorf("%s: %d values are given", what, len(got))
		}
	}
	c.Drop(org)
	if _, _, ok := c.Values(org, 7, of, secret.Query{}); ok || c.lists.Len() != 0 {
		t.Error("something is left of what was dropped")
	}
}
