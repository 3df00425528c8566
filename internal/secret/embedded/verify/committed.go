package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
)

// committed is an engine for reading as it is once every large change that is committed has been carried out: what is
// carried out of it already and what is not yet tell nothing apart.
type committed struct {
	kv.Store
	change commitlog.Records
	keys   []string // the change's, sorted
}

// withCommitted reads the committed changes of these organisations. One that cannot be read is told
// to wrong and left out.
func withCommitted(ctx context.Context, store kv.Store, log *commitlog.Log, orgs []id.ID,
	wrong func(key, format string, args ...any)) (committed, error) {
	c := committed{Store: store, change: commitlog.Records{}}
	for _, org := range orgs {
		change, err := log.Pending(ctx, org)
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if err != nil {
			wrong(commitlog.Key(org), "%v", err)
			continue
		}
		maps.Copy(c.change, change)
	}
	c.keys = slices.Sorted(maps.Keys(c.change))
	return c, nil
}

// Get returns one record.
func (c committed) Get(ctx context.Context, key string) (kv.Record, error) {
	value, ok := c.change[key]
	switch {
	case !ok:
		return c.Store.Get(ctx, key)
	case value == nil:
		return kv.Record{}, kv.ErrNotFound
	}
	return kv.Record{Key: key, Value: slices.Clone(value), Rev: 1}, nil
}

// List returns one page.
func (c committed) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	if len(c.keys) == 0 {
		return c.Store.List(ctx, prefix, after, limit)
	}
	var recs []kv.Record
	for len(recs) < limit {
		page, err := c.Store.List(ctx, prefix, after, limit)
		if err != nil {
			return nil, fmt.Errorf("reading beside a committed change: %w", err)
		}
		last := len(page) < limit // there is nothing behind it, but what the change puts there
		at, _ := slices.BinarySearch(c.keys, max(prefix, after))
		for _, rec := range page {
			for ; at < len(c.keys) && c.keys[at] < rec.Key; at++ {
				recs = c.append(recs, prefix, after, c.keys[at])
			}
			if _, changed := c.change[rec.Key]; !changed {
				recs = append(recs, rec)
			}
		}
		if last {
			for ; at < len(c.keys); at++ {
				recs = c.append(recs, prefix, after, c.keys[at])
			}
			break
		}
		// Up to here, and with what the change puts at the last key itself.
		after = page[len(page)-1].Key
		recs = c.append(recs, prefix, "", after)
	}
	return recs[:min(len(recs), limit)], nil
}

// ListBack returns one page from the end.
func (c committed) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	at, end := len(c.keys), kv.Behind(prefix, before)
	if end != "" {
		at, _ = slices.BinarySearch(c.keys, end)
	}
	var recs []kv.Record
	put := func(than string) { // what the change puts behind a key, from the end
		for ; at > 0 && c.keys[at-1] > than; at-- {
			recs = c.append(recs, prefix, "", c.keys[at-1])
		}
	}
	for len(recs) < limit {
		page, err := c.Store.ListBack(ctx, prefix, before, limit)
		if err != nil {
			return nil, fmt.Errorf("reading beside a committed change: %w", err)
		}
		for _, rec := range page {
			put(rec.Key)
			if _, changed := c.change[rec.Key]; !changed {
				recs = append(recs, rec)
			}
		}
		if len(page) < limit {
			put("")
			break
		}
		before = page[len(page)-1].Key
	}
	return recs[:min(len(recs), limit)], nil
}

// append adds what the change puts at the key, where it belongs into the list.
func (c committed) append(recs []kv.Record, prefix, after, key string) []kv.Record {
	value := c.change[key]
	if value == nil || key <= after || !strings.HasPrefix(key, prefix) {
		return recs
	}
	return append(recs, kv.Record{Key: key, Value: slices.Clone(value), Rev: 1})
}
