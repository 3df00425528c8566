package etcd

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/etcd/reach"
	"strongroom/internal/kv/kvtest"
)

func TestSettledSuite(t *testing.T) {
	c := etcdtest.Shared(t)
	kvtest.Test(t, func(t *testing.T) kv.Store { return kv.Settled(open(t, c, etcdtest.Prefix(t))) })
}

// TestOnce loses the answers of transactions that were carried out, and has others change what they put before they are
// sent again: each was carried out once, and is told as that.
func TestOnce(t *testing.T) {
	c := etcdtest.Shared(t)
	put := func(k, v string) []kv.Op { return []kv.Op{kv.Put(k, []byte(v))} }
	for name, conds := range map[string][]kv.Cond{"without a condition": nil, "for a new record": {kv.Missing("k")}} {
		for what, others := range map[string][]kv.Op{"removed": {kv.Delete("k")}, "overwritten": put("k", "theirs"),
			"untouched": put("other", "x")} {
			t.Run(name+", "+what, func(t *testing.T) {
				s := open(t, c, etcdtest.Prefix(t))
				for range 2 { // of a new turn, and of one that was used
					if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Delete("k")}); err != nil {
						t.Fatal(err)
					}
					o := &once{s: s, conds: conds, ops: put("k", "ours")}
					was, err := s.turns.take(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					before := *was
					o.turn = was
					rev, err := o.try(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					*o.turn, o.lost = before, true // the answer did not come
					if _, err := s.Txn(t.Context(), nil, others); err != nil {
						t.Fatal(err)
					}
					if again, err := o.try(t.Context()); err != nil || again != rev {
						t.Errorf("sent again: revision %d, %v, want %d", again, err, rev)
					}
					o.end()
					r, err := s.Get(t.Context(), "k")
					if got := string(r.Value); what == "removed" && !errors.Is(err, kv.ErrNotFound) ||
						what == "overwritten" && got != "theirs" ||
						what == "untouched" && got != "ours" {
						t.Errorf("it was carried out twice: %q, %v", got, err)
					}
				}
			})
		}
	}
}

// TestOnceLate has a try arrive after another was told as refused, and when its condition holds.
func TestOnceLate(t *testing.T) {
	s := open(t, etcdtest.Shared(t), etcdtest.Prefix(t))
	there, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("there"))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		turn, err := s.turns.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		copied := *turn
		o := &once{s: s, conds: []kv.Cond{kv.Missing("k")}, ops: []kv.Op{kv.Put("k", []byte("ours"))},
			turn: turn, lost: true}
		late := &once{s: s, conds: o.conds, ops: o.ops, turn: &copied}
		if _, err := o.try(t.Context()); !errors.Is(err, kv.ErrConflict) || errors.Is(err, kv.ErrUnknown) {
			t.Errorf("refused: %v", err)
		}
		o.end()
		if _, err := s.Txn(t.Context(), []kv.Cond{{Key: "k", Rev: there}}, []kv.Op{kv.Delete("k")}); err != nil {
			t.Fatal(err)
		}
		if _, err := late.try(t.Context()); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("the late one: %v", err)
		}
		if _, err := s.Get(t.Context(), "k"); !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("the late one was carried out: %v", err)
		}
		if there, err = s.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("there"))}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOnceLeaseEnds takes the lease away below a server: what it sends next is carried out with another, and not told
// as a conflict; what was sent before, and has no answer, is not known.
func TestOnceLeaseEnds(t *testing.T) {
	s := open(t, etcdtest.Shared(t), etcdtest.Prefix(t))
	settled := kv.Settled(s)
	for i := range 3 {
		if _, err := settled.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte{byte(i)})}); err != nil {
			t.Fatal(err)
		}
		o := &once{s: s, ops: []kv.Op{kv.Put("lost", nil)}}
		if _, err := o.try(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.lost = true
		if _, err := s.client.Revoke(t.Context(), o.turn.of.id); err != nil {
			t.Fatal(err)
		}
		if _, err := o.try(t.Context()); !errors.Is(err, kv.ErrUnknown) {
			t.Errorf("a lost one, when the lease has ended: %v", err)
		}
	}
}

// late is an etcd that answers each transaction after a time, and never the first ones.
type late struct {
	pb.KVClient
	takes time.Duration
	never int64
	asked atomic.Int64
}

func (l *late) Txn(ctx context.Context, _ *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	takes := time.NewTimer(l.takes)
	if l.asked.Add(1) <= l.never {
		takes.Stop()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-takes.C:
		return &pb.TxnResponse{Succeeded: true}, nil
	}
}

// TestOnceSlow has etcd be slow: the answer to what was sent first is taken, and little is sent beside it. What has been
// sent to a leader that is gone is sent again soon.
func TestOnceSlow(t *testing.T) {
	for _, tt := range []struct {
		takes time.Duration
		never int64
		most  int64
		after time.Duration
	}{
		{takes: 100 * time.Millisecond, most: 1},
		{takes: 300 * time.Millisecond, most: 2},
		{takes: 700 * time.Millisecond, most: 3},
		{takes: time.Second, most: 4},
		{takes: 2 * time.Second, most: 7},
		{takes: 4 * time.Second, most: 13, after: 2 * time.Second},
		{takes: time.Millisecond, never: 1, most: 2, after: 200 * time.Millisecond},
		{takes: time.Millisecond, never: 5, most: 6, after: 1500 * time.Millisecond},
		{takes: time.Second, never: 1, most: 6, after: 200 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			etcd := &late{takes: tt.takes, never: tt.never}
			o := &once{s: &Store{txns: etcd, reach: reach.New(0), metrics: newMetrics()}}
			began := time.Now()
			if _, err := o.send(t.Context(), "txn", &pb.TxnRequest{}); err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			if took := time.Since(began); took > tt.takes+tt.after || etcd.asked.Load() > tt.most {
				t.Errorf("%+v: asked %d times, and answered after %v", tt, etcd.asked.Load(), took)
			}
		})
	}
}
