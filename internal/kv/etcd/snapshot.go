package etcd

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/ranges"
)

// snapshotPage is how many records are read at a time. With the largest values there are, that is 128 MiB.
const snapshotPage = 128

// Each gives all records as they are at one moment, in the order of their keys and some at a time. It returns what take
// returns, and kv.ErrLagging where etcd was compacted meanwhile, so that the moment is gone.
func (s *Store) Each(ctx context.Context, take func([]kv.Record) error) error {
	l := ranges.List{Prefix: s.data, From: s.data, Limit: snapshotPage}
	for {
		found, rev, err := s.ranges.Page(l, spans{Store: s, ctx: ctx, op: "snapshot"})
		switch {
		case errors.Is(err, kv.ErrLagging):
			return fmt.Errorf("etcd was compacted while its records were read; try again: %w", err)
		case err != nil || len(found) == 0:
			return err
		}
		if err := take(s.records(found)); err != nil {
			return err
		}
		if len(found) < l.Limit {
			return nil
		}
		l.From, l.Rev = string(found[len(found)-1].Key)+"\x00", rev
	}
}
