package etcd

import (
	"context"
	"runtime"
	"slices"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
)

// How many reads of single records go on at a time, and how many records each is of at most.
const (
	maxGets  = 2
	maxBatch = 64
)

// gets lets those who read a record at the same time do so in one call. Who comes while a call is under way waits for
// the next: a call that began before he came could give what was there before.
//
// A list of secrets by 32 clients at a time is 2.3 times as fast by it over loopback (BenchmarkEtcd). That a call lets
// others who can run go first brings together what one request asks for at the same time: the reads of a list of one
// client go from 2.0 calls to 1.04, and its CPU time, here and at etcd, from 0.45 + 0.42 ms to 0.27 + 0.22 ms
// (BenchmarkGrowth over etcd).
type gets struct {
	mu      sync.Mutex
	waiting []*wanted
	calls   int
}

// wanted is one read that waits. Its channel takes one answer, whether or not the reader is still there.
type wanted struct {
	key    string
	answer chan got
}

type got struct {
	rec kv.Record
	err error
}

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
	w := &wanted{key, make(chan got, 1)}
	s.gets.mu.Lock()
	s.gets.waiting = append(s.gets.waiting, w)
	if s.gets.calls < maxGets {
		s.gets.calls++
		go s.getAll()
	}
	s.gets.mu.Unlock()
	select {
	case g := <-w.answer:
		return g.rec, g.err
	case <-ctx.Done():
		return kv.Record{}, ctx.Err()
	}
}

// getAll reads what is waited for until nobody waits.
func (s *Store) getAll() {
	for {
		runtime.Gosched() // those who are about to ask come along
		s.gets.mu.Lock()
		batch := s.gets.waiting[:min(len(s.gets.waiting), maxBatch)]
		s.gets.waiting = s.gets.waiting[len(batch):]
		if len(batch) == 0 {
			s.gets.waiting = nil
			s.gets.calls--
			s.gets.mu.Unlock()
			return
		}
		s.gets.mu.Unlock()
		found, err := s.getBatch(batch)
		for _, w := range batch {
			rec, ok := found[w.key]
			switch {
			case err != nil:
				w.answer <- got{err: err}
			case !ok:
				w.answer <- got{err: kv.ErrNotFound}
			default:
				rec.Value = slices.Clone(rec.Value) // what is returned is the caller's
				w.answer <- got{rec: rec}
			}
		}
	}
}

// getBatch reads the records that are wanted and there. It is bounded by callTime, and by nobody's context: others
// wait, too.
func (s *Store) getBatch(batch []*wanted) (map[string]kv.Record, error) {
	found := make(map[string]kv.Record, len(batch))
	ops := make([]clientv3.Op, 0, len(batch))
	asked := make(map[string]bool, len(batch))
	for _, w := range batch {
		if !asked[w.key] {
			asked[w.key] = true
			ops = append(ops, clientv3.OpGet(s.data+w.key))
		}
	}
	err := s.ask(context.Background(), "get", func(ctx context.Context) error {
		if len(ops) == 1 {
			res, err := s.client.Do(ctx, ops[0])
			if err == nil {
				for _, r := range res.Get().Kvs {
					rec := s.record(r)
					found[rec.Key] = rec
				}
			}
			return err
		}
		res, err := s.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for _, one := range res.Responses {
			for _, r := range one.GetResponseRange().Kvs {
				rec := s.record(r)
				found[rec.Key] = rec
			}
		}
		return nil
	})
	return found, err
}
