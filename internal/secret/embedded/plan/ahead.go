package plan

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// How much is read ahead: of so many secrets at most, their values are in memory then, and so many records at a time.
const (
	maxAhead   = 128
	aheadReads = 64
)

// ReadAhead reads at the same time what changes of the named secrets will ask for one by one, but for what is known
// already, from an engine for which each is a way over the network. Like all that a plan reads it counts only if the
// head is then as it was before. For more secrets than that is for, a plan goes on with it as it comes to them.
func (c *Config) ReadAhead(ctx context.Context, known func(key string) bool, changes [][]string) error {
	c.known, c.covered = known, make(map[string]bool)
	var keys, versions []string
	asked := make(map[string]bool)
	for _, names := range changes {
		if len(c.covered)+len(names) > maxAhead {
			break
		}
		for _, name := range names {
			c.covered[name] = true
			if !content.Fits(name) {
				continue // it is refused
			}
			at, err := c.From.Places(c.Org, name, c.Names)
			if err != nil {
				return err
			}
			value, meta := at.Now.Slot(records.Value).Key, at.Now.Slot(records.Meta).Key
			if !asked[value] && !known(value) && !known(meta) { // it may be a name of which there is nothing
				versions = append(versions, at.Now.Versions())
			}
			for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed} {
				key := at.Now.Slot(kind).Key
				if !asked[key] && !known(key) {
					asked[key] = true
					keys = append(keys, key)
				}
			}
		}
	}
	c.Ahead = make(map[string][]byte, len(keys))
	c.earlier = make(map[string]bool, len(versions))
	var mu sync.Mutex
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(aheadReads)
	for _, key := range keys {
		reads.Go(func() error {
			value, err := c.From.Read(ctx, nil, key)
			mu.Lock()
			defer mu.Unlock()
			c.Ahead[key] = value
			return err
		})
	}
	for _, prefix := range versions {
		reads.Go(func() error {
			has, err := c.hasEarlier(ctx, prefix)
			mu.Lock()
			defer mu.Unlock()
			c.earlier[prefix] = has
			return err
		})
	}
	return reads.Wait()
}

// goOn reads ahead for the next of many names, where that has not been done.
func (p *Plan) goOn(names []string) error {
	if p.known == nil || p.covered[names[0]] {
		return nil
	}
	return p.ReadAhead(p.ctx, p.known, [][]string{names[:min(len(names), maxAhead)]})
}
