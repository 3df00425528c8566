package embedded

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// How much is read ahead: of so many secrets at most, their values are in memory then, and so many records at a time.
const (
	maxAhead   = 128
	aheadReads = 64
)

// readAhead reads at the same time what the changes will ask for one by one, from an engine for which each is a way
// over the network. Like all that a plan reads it counts only if the head is then as it was before.
func (s *Store) readAhead(ctx context.Context, cfg plan.Config, recalled bool, changes []*change) (
	map[string][]byte, error) {
	var keys []string
	asked := make(map[string]bool)
	secrets := 0
	for _, c := range changes {
		if secrets += len(c.names); secrets > maxAhead {
			break
		}
		for _, name := range c.names {
			if !content.Fits(name) {
				continue // it is refused
			}
			at, err := cfg.From.Places(cfg.Org, name, cfg.Names)
			if err != nil {
				return nil, err
			}
			for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed} {
				key := at.Now.Slot(kind).Key
				if recalled && !asked[key] {
					_, asked[key] = s.near.Recall(key)
				}
				if !asked[key] {
					asked[key] = true
					keys = append(keys, key)
				}
			}
		}
	}
	all := make(map[string][]byte, len(keys))
	var mu sync.Mutex
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(aheadReads)
	for _, key := range keys {
		reads.Go(func() error {
			value, err := s.from.Read(ctx, nil, key)
			mu.Lock()
			defer mu.Unlock()
			all[key] = value
			return err
		})
	}
	return all, reads.Wait()
}
