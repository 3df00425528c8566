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
	var rev int64
	err := pages(s.data, snapshotPage, func(from, to string) (keys []string, err error) {
		var recs []kv.Record
		err = s.read(ctx, "snapshot", func(ctx context.Context) error {
			res, err := s.client.Get(ctx, from, clientv3.WithRange(to), clientv3.WithLimit(snapshotPage),
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
			recs, keys = make([]kv.Record, len(res.Kvs)), make([]string, len(res.Kvs))
			for i, r := range res.Kvs {
				recs[i], keys[i] = s.record(r), string(r.Key)
			}
			return nil
		})
		if errors.Is(err, kv.ErrLagging) {
			return nil, fmt.Errorf("etcd was compacted while its records were read; try again: %w", err)
		}
		if err == nil && len(recs) > 0 {
			err = take(recs)
		}
		return keys, err
	})
	return err
}

// pages reads all records whose keys begin with prefix. Read gives the keys of the first page of them from the one key
// up to, and without, the other.
//
// An etcd counts all records up to there, whether or not they are of the page, so that pages that ask up to the end of
// everything take time by the square of how many records there are. They ask up to the end of what begins as all keys
// of the last full page do; where that has no full page any more, up to the end of what begins as a shorter part of it.
func pages(prefix string, page int, read func(from, to string) (keys []string, err error)) error {
	end := clientv3.GetPrefixRangeEnd(prefix)
	like, shorter := prefix, 1
	for from, to := prefix, end; ; {
		keys, err := read(from, to)
		if err != nil {
			return err
		}
		switch {
		case len(keys) == page:
			like, shorter = shared(keys[0], keys[page-1]), 1
			from = keys[page-1] + "\x00"
		case to == end:
			return nil
		default:
			from = to
			like, shorter = like[:max(len(prefix), len(like)-shorter)], 2*shorter
		}
		for to = clientv3.GetPrefixRangeEnd(like); to <= from; to = clientv3.GetPrefixRangeEnd(like) {
			like = like[:max(len(prefix), len(like)-1)]
		}
	}
}

// shared is what both keys begin with.
func shared(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}
