package record

import (
	"context"
	"iter"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Together is how many records are asked for at the same time, where their keys are known: an engine elsewhere is then
// asked once, and not once for each. They are few, since each may be large.
const Together = 16

// Finds is Find for several records at the same time. One that is not there is nil, and as in ScanFound one that is
// forged or damaged.
func Finds[T any](ctx context.Context, s kv.Store, keys []string) ([]*T, error) {
	found := make([]*T, len(keys))
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(Together)
	for i, key := range keys {
		reads.Go(func() error {
			v, _, there, err := Find[T](ctx, s, key)
			if there {
				found[i] = &v
			}
			return passed(err)
		})
	}
	return found, reads.Wait()
}

// AtATime is of how many records is asked at the same time for a list of so many; 0: of all.
func AtATime(limit int) int {
	if limit == 0 {
		return Together
	}
	return min(limit, Together)
}

// Each yields the records of a kind that have these IDs, in their order, until yield wants no more: so many are read
// at the same time, and more where these were not enough. One that has been deleted since its ID was read is passed by,
// and as in ScanFound one that is forged or damaged.
func Each[T any](ctx context.Context, s kv.Store, kind string, ids iter.Seq[id.ID], atATime int,
	yield func(T) bool) error {
	var keys []string
	for one := range ids {
		if keys = append(keys, Key(kind, one)); len(keys) < atATime {
			continue
		}
		if more, err := eachOf(ctx, s, keys, yield); err != nil || !more {
			return err
		}
		keys, atATime = keys[:0], min(4*atATime, Together)
	}
	_, err := eachOf(ctx, s, keys, yield)
	return err
}

// Led is ScanSome of an index: it yields what its records lead to, of which as many are read at the same time as by
// Each, until yield wants no more. Leads gives the key of that, and none for a record that is to be passed by.
func Led[T any](ctx context.Context, s kv.Store, pre, after string, back bool, atATime int,
	leads func(kv.Record) (key string, err error), yield func(T) bool) error {
	var keys []string
	more := true
	err := ScanSome(ctx, s, pre, after, back, func(r kv.Record) (bool, error) {
		key, err := leads(r)
		if err != nil || key == "" {
			return err == nil, err
		}
		if keys = append(keys, key); len(keys) < atATime {
			return true, nil
		}
		more, err = eachOf(ctx, s, keys, yield)
		keys, atATime = keys[:0], min(4*atATime, Together)
		return more, err
	})
	if err == nil && more {
		_, err = eachOf(ctx, s, keys, yield)
	}
	return err
}

func eachOf[T any](ctx context.Context, s kv.Store, keys []string, yield func(T) bool) (more bool, err error) {
	found, err := Finds[T](ctx, s, keys)
	if err != nil {
		return false, err
	}
	for _, v := range found {
		if v != nil && !yield(*v) {
			return false, nil
		}
	}
	return true, nil
}
