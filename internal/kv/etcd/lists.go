package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/ranges"
)

// List returns one page of the records whose keys begin with prefix.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	return s.list(ctx, "list", s.page(prefix, after, false, limit))
}

// ListBack returns one page from the end.
func (s *Store) ListBack(ctx context.Context, prefix, before string, limit int) ([]kv.Record, error) {
	return s.list(ctx, "list", s.page(prefix, before, true, limit))
}

// page is the page of a list that comes after the key from, or, back, before it; for "" it is the first.
func (s *Store) page(prefix, from string, back bool, limit int) ranges.List {
	l := ranges.List{Prefix: s.data + prefix, Limit: limit, Back: back}
	switch {
	case !back && from != "" && from >= prefix:
		l.From = s.data + from + "\x00" // the first key behind it
	case !back:
		l.From = l.Prefix
	case from != "" && s.data+from < clientv3.GetPrefixRangeEnd(l.Prefix):
		l.From = s.data + from
	}
	return l
}

// skipPage is how many keys Skip has of etcd at a time.
const skipPage = 4096

// Skip passes over records by their keys alone, of one moment; see kv.Skipper.
func (s *Store) Skip(ctx context.Context, prefix, from string, back bool, n int) (last string, passed int, err error) {
	spans := spans{Store: s, ctx: ctx, op: "list", keys: true}
	var rev int64
	for passed < n {
		l := s.page(prefix, from, back, min(n-passed, skipPage))
		l.Rev = rev
		found, at, err := s.ranges.Page(l, spans)
		switch {
		case errors.Is(err, kv.ErrLagging): // compacted meanwhile: what is left is of another moment
			rev = 0
			continue
		case err != nil || len(found) == 0:
			return "", passed, err
		}
		passed, rev = passed+len(found), at
		from = strings.TrimPrefix(string(found[len(found)-1].Key), s.data)
		if len(found) < l.Limit {
			return "", passed, nil
		}
	}
	return from, passed, ctx.Err()
}

func (s *Store) list(ctx context.Context, op string, l ranges.List) ([]kv.Record, error) {
	if l.Limit <= 0 {
		return nil, fmt.Errorf("%w: a list of at most %d records", kv.ErrInvalid, l.Limit)
	}
	spans := spans{Store: s, ctx: ctx, op: op}
	found, _, err := s.ranges.Page(l, spans)
	if errors.Is(err, kv.ErrLagging) { // compacted between two ranges; one alone is of one revision
		var a ranges.Answer
		a, err = spans.Ask(l.Whole())
		found = a.Found
	}
	if err != nil {
		return nil, err
	}
	return s.records(found), nil
}

// spans asks etcd for ranges, for one caller.
type spans struct {
	*Store
	ctx  context.Context
	op   string
	keys bool // without values
}

// Ask asks for one.
func (s spans) Ask(r ranges.Span) (a ranges.Answer, err error) {
	if s.asking != nil {
		s.asking(r)
	}
	if r.Limit == 1 && r.Rev == 0 && !r.Back && !s.keys && r.From < r.To {
		return s.first(s.ctx, r.From, r.To)
	}
	how := []clientv3.OpOption{clientv3.WithRange(r.To), clientv3.WithLimit(int64(r.Limit)), clientv3.WithRev(r.Rev)}
	if s.keys {
		how = append(how, clientv3.WithKeysOnly())
	}
	if r.Back {
		how = append(how, clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	}
	err = s.read(s.ctx, s.op, func(ctx context.Context) error {
		if r.From >= r.To {
			return ctx.Err()
		}
		res, err := s.client.Get(ctx, r.From, how...)
		if err != nil {
			return lagging(err)
		}
		a = ranges.Answer{Found: res.Kvs, Count: int(res.Count), Rev: res.Header.Revision}
		return nil
	})
	return a, err
}

// Counts has etcd count the records of several, in one call.
func (s spans) Counts(bounds []string, end string, rev int64) (all []int, err error) {
	var ops []clientv3.Op
	for i, from := range bounds {
		to := end
		if i+1 < len(bounds) {
			to = bounds[i+1]
		}
		ops = append(ops, clientv3.OpGet(from, clientv3.WithRange(to), clientv3.WithCountOnly(), clientv3.WithRev(rev)))
	}
	err = s.read(s.ctx, s.op, func(ctx context.Context) error {
		res, err := s.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return lagging(err)
		}
		all = make([]int, len(res.Responses))
		for i, r := range res.Responses {
			all[i] = int(r.GetResponseRange().Count)
		}
		return nil
	})
	return all, err
}

// Held gives the names that somebody holds (Hold), each once.
func (s *Store) Held(ctx context.Context) (names []string, err error) {
	err = s.read(ctx, "held", func(ctx context.Context) error {
		res, err := s.client.Get(ctx, s.names, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		names = nil
		for _, r := range res.Kvs {
			name := string(r.Key[len(s.names):])
			names = append(names, name[:max(0, strings.LastIndexByte(name, '/'))]) // behind it is the lease
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}
