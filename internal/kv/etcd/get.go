package etcd

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/gets"
	"strongroom/internal/kv/etcd/ranges"
)

// Get returns one record.
func (s *Store) Get(ctx context.Context, key string) (kv.Record, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return kv.Record{}, err
	}
	defer leave()
	if key == "" || len(key) > kv.MaxKey { // what no record has; etcd would refuse to look for it
		return kv.Record{}, kv.ErrNotFound
	}
	a, err := s.gets.Read(ctx, gets.Span{From: s.data + key})
	switch {
	case err != nil:
		return kv.Record{}, err
	case len(a.Found) == 0:
		return kv.Record{}, kv.ErrNotFound
	}
	return s.record(a.Found[0]), nil
}

// first gives the first record in a range, which is asked for together with what others get.
func (s *Store) first(ctx context.Context, from, to string) (ranges.Answer, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return ranges.Answer{}, err
	}
	defer leave()
	return s.gets.Read(ctx, gets.Span{From: from, To: to})
}

// getAll answers several reads by one call. It is bounded by callTime, and by nobody's context: others wait, too.
func (s *Store) getAll(all []gets.Span) ([]ranges.Answer, error) {
	ops := make([]clientv3.Op, len(all))
	for i, span := range all {
		if ops[i] = clientv3.OpGet(span.From); span.To != "" {
			ops[i] = clientv3.OpGet(span.From, clientv3.WithRange(span.To), clientv3.WithLimit(1))
		}
	}
	answers := make([]ranges.Answer, len(all))
	return answers, s.ask(context.Background(), "get", func(ctx context.Context) error {
		if len(ops) == 1 {
			res, err := s.client.Do(ctx, ops[0])
			if err == nil {
				answers[0] = answerOf((*pb.RangeResponse)(res.Get()), res.Get().Header.Revision)
			}
			return err
		}
		res, err := s.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for i, one := range res.Responses {
			answers[i] = answerOf(one.GetResponseRange(), res.Header.Revision)
		}
		return nil
	})
}

func answerOf(r *pb.RangeResponse, rev int64) ranges.Answer {
	return ranges.Answer{Found: r.Kvs, Count: int(r.Count), Rev: rev}
}
