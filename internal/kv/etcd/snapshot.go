package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
)

// snapshotPage is how many records are read at a time. With the largest values there are, that is 128 MiB.
const snapshotPage = 128

// Each gives all records as they are at one moment, in the order of their keys and some at a time. It returns what take
// returns, and kv.ErrLagging where etcd was compacted meanwhile, so that the moment is gone.
func (s *Store) Each(ctx context.Context, take func([]kv.Record) error) error {
	from, end := s.data, clientv3.GetPrefixRangeEnd(s.data)
	var rev int64
	for {
		var recs []kv.Record
		err := s.read(ctx, "snapshot", func(ctx context.Context) error {
			res, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(snapshotPage),
				clientv3.WithRev(rev))
			if errors.Is(err, rpctypes.ErrCompacted) {
				return kv.ErrLagging
			}
			if err != nil {
				return err
			}
			if rev == 0 {
				rev = res.Header.Revision
			}
			recs = make([]kv.Record, len(res.Kvs))
			for i, r := range res.Kvs {
				recs[i] = s.record(r)
			}
			return nil
		})
		if errors.Is(err, kv.ErrLagging) {
			return fmt.Errorf("etcd was compacted while its records were read; try again: %w", err)
		}
		if err != nil || len(recs) == 0 {
			return err
		}
		if err := take(recs); err != nil {
			return err
		}
		from = s.data + recs[len(recs)-1].Key + "\x00"
	}
}
