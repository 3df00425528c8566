package authn

import (
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity"
)

// What a reader found before a change must not come into the cache after it.
func TestCacheKeepsNothingStale(t *testing.T) {
	for name, drop := range map[string]func(*cache, identity.Hash){
		"drop": (*cache).drop, "flush": func(c *cache, _ identity.Hash) { c.flush() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(10, nil)
			h := identity.HashOf("token")
			gen := c.generation()
			drop(c, h) // the token is revoked while the reader is at the engine
			c.add(h, entry{principal: &access.Principal{}}, gen)
			if _, ok := c.get(h); ok {
				t.Error("the cache holds a token that was revoked before it was added")
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(10, nil)
	for i := range 1000 {
		c.add(identity.HashOf(string(rune(i))), entry{principal: &access.Principal{}}, c.generation())
	}
	if n := c.entries.Len(); n > 10 {
		t.Errorf("the cache holds %d entries, at most 10 are allowed", n)
	}
}
