// Package cache keeps what was read for a while, so that reads for use do not each go to a server: one read of a
// thing is under way at a time, and everyone who asks meanwhile waits for it.
package cache

import (
	"context"
	"maps"
	"sync"
	"time"

	"strongroom/internal/bounded"
)

// Config bounds a cache.
type Config[K comparable, V any] struct {
	// Read gets what is not kept. It goes on when the caller who started it leaves.
	Read func(ctx context.Context, key K) (V, error)
	// TTL is how long what was read is given out; 0 for not at all.
	TTL time.Duration
	// Stale is how long beyond that it is given out where a read fails in a way for which Outage is true. Another
	// failure is an answer: what was read before it is not given out any more.
	Stale  time.Duration
	Outage func(error) bool
	// Max is how many things are kept.
	Max int
}

// Counts are how often something was given out: Hits from memory, Stale from memory in an outage, Misses after a read.
type Counts struct{ Hits, Stale, Misses, Kept int }

// Cache is safe for use by many goroutines. Make it with New.
type Cache[K comparable, V any] struct {
	conf Config[K, V]

	mu      sync.Mutex
	kept    *bounded.Map[K, *kept[V]]
	flights map[K]*flight[V]
	counts  Counts
}

type kept[V any] struct {
	value V
	read  time.Time // when the read began
	drop  *time.Timer
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// New makes an empty cache.
func New[K comparable, V any](c Config[K, V]) *Cache[K, V] {
	drop := func(_ K, k *kept[V]) { k.drop.Stop() }
	return &Cache[K, V]{conf: c, kept: bounded.New(max(c.Max, 1), drop), flights: make(map[K]*flight[V])}
}

// Get gives what is kept, or reads it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	c.mu.Lock()
	k, ok := c.kept.Get(key)
	if ok && time.Since(k.read) < c.conf.TTL {
		c.counts.Hits++
		c.mu.Unlock()
		return k.value, nil
	}
	f := c.flights[key]
	if f == nil {
		f = &flight[V]{done: make(chan struct{})}
		c.flights[key] = f
		go c.read(context.WithoutCancel(ctx), key, f)
	}
	c.mu.Unlock()
	var none V
	select {
	case <-f.done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if f.err == nil {
		c.count(&c.counts.Misses)
		return f.value, nil
	}
	if !c.conf.Outage(f.err) {
		return none, f.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Only what is still kept: a write may have dropped what the caller saw before.
	if k, ok := c.kept.Get(key); ok && time.Since(k.read) < c.conf.TTL+c.conf.Stale {
		c.counts.Stale++
		return k.value, nil
	}
	return none, f.err
}

func (c *Cache[K, V]) count(n *int) {
	c.mu.Lock()
	*n++
	c.mu.Unlock()
}

func (c *Cache[K, V]) read(ctx context.Context, key K, f *flight[V]) {
	began := time.Now()
	f.value, f.err = c.conf.Read(ctx, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(f.done)
	if c.flights[key] != f {
		return // dropped meanwhile: what was read may be older than the write
	}
	delete(c.flights, key)
	if f.err != nil && !c.conf.Outage(f.err) {
		c.kept.Drop(key)
	}
	if f.err != nil || c.conf.TTL <= 0 {
		return
	}
	k := &kept[V]{value: f.value, read: began}
	// Secrets do not stay in memory because nobody asks for them.
	k.drop = time.AfterFunc(c.conf.TTL+c.conf.Stale, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if now, _ := c.kept.Get(key); now == k {
			c.kept.Drop(key)
		}
	})
	c.kept.Put(key, k, 1)
}

// Drop forgets one, also what reads under way bring.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Drop(key)
	delete(c.flights, key)
}

// DropIf forgets those for which is is true, as Drop does.
func (c *Cache[K, V]) DropIf(is func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.kept.Keys() {
		if is(key) {
			c.kept.Drop(key)
		}
	}
	maps.DeleteFunc(c.flights, func(key K, _ *flight[V]) bool { return is(key) })
}

// Clear forgets everything.
func (c *Cache[K, V]) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Clear()
	clear(c.flights)
}

// Counts returns what was counted since the start.
func (c *Cache[K, V]) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.counts
	n.Kept = c.kept.Len()
	return n
}
