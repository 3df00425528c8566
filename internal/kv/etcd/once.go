package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/singleflight"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

// turnLease is for how long, in seconds, etcd keeps the turns of a server that it does not hear of.
const turnLease = 60

// turns are records by which a transaction is carried out once however often it is sent. Each has the condition that
// its turn is unchanged, and changes it: what has been carried out is not carried out again, whatever became of its
// other records, and the turn's revision tells that, and when, it was. One turn is used by one transaction at a time.
// They go with a lease, and etcd carries out nothing that names a lease which has ended.
type turns struct {
	store  *Store
	folder string

	asking singleflight.Group // for a lease

	mu    sync.Mutex
	lease *turnsOf
}

// turnsOf are those of one lease.
type turnsOf struct {
	id   clientv3.LeaseID
	name string
	over context.CancelFunc // ends keeping it alive

	mu   sync.Mutex
	free []*turn
	made int
	gone bool
}

type turn struct {
	of  *turnsOf
	key string
	rev int64 // 0 before it is first used
	use int   // which of its transactions has it: what etcd says of another is of a history that it was set back to
}

// take gives a turn that nobody uses. It gives kv.ErrUnavailable or kv.ErrFull where there is no lease to be had.
func (t *turns) take(ctx context.Context) (*turn, error) {
	l, err := t.leased(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		last := l.free[n-1]
		l.free = l.free[:n-1]
		last.use++
		return last, nil
	}
	l.made++
	return &turn{of: l, key: fmt.Sprintf("%s%s/%d", t.folder, l.name, l.made)}, nil
}

// back takes a turn back whose revision is known.
func (l *turnsOf) back(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, t)
}

func (l *turnsOf) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

func (l *turnsOf) end() {
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	l.over()
}

// leased gives the turns of a lease that has not ended, as far as is known. Those who need another at the same time
// wait for the same one.
func (t *turns) leased(ctx context.Context) (*turnsOf, error) {
	t.mu.Lock()
	l := t.lease
	t.mu.Unlock()
	if l != nil && !l.ended() {
		return l, nil
	}
	asked := t.asking.DoChan("", func() (any, error) { return t.grant(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-asked:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*turnsOf), nil
	}
}

// grant has etcd grant a lease, unless somebody was faster.
func (t *turns) grant(ctx context.Context) (*turnsOf, error) {
	t.mu.Lock()
	l := t.lease
	t.mu.Unlock()
	if l != nil && !l.ended() {
		return l, nil
	}
	bounded, done, err := t.store.begin(ctx, callTime)
	if err != nil {
		return nil, err
	}
	defer done()
	granted, err := t.store.client.Grant(bounded, turnLease)
	if err != nil {
		return nil, t.store.outcome(ctx, err)
	}
	living, over := context.WithCancel(t.store.ending)
	l = &turnsOf{id: granted.ID, name: rand.Text(), over: over}
	alive, err := t.store.client.KeepAlive(living, granted.ID)
	if err != nil {
		over()
		return nil, t.store.outcome(ctx, err)
	}
	go func() {
		for range alive { // each time that it is kept alive
		}
		l.end()
	}()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease = l
	return l, nil
}

// close removes the turns. Where etcd is out of reach, it does so itself when it has not heard of
// the server for a minute.
func (t *turns) close() {
	t.mu.Lock()
	l := t.lease
	t.mu.Unlock()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = t.store.client.Revoke(ctx, l.id)
	l.end()
}

// Once gives the tries of one transaction; see kv.Once. One that puts nothing has no turn: it can be sent where
// there is no room left, and what it leaves is the same however often it is. So has one of as many conditions or
// operations as etcd takes.
func (s *Store) Once(conds []kv.Cond, ops []kv.Op) (try func(context.Context) (int64, error), end func()) {
	puts := false
	for _, op := range ops {
		puts = puts || op.Kind == kv.OpPut
	}
	if !puts || len(conds) == kv.MaxOps || len(ops) == kv.MaxOps {
		o := &unguarded{s: s, conds: conds, ops: ops}
		return o.try, func() {}
	}
	o := &once{s: s, conds: conds, ops: ops}
	return o.try, o.end
}

type once struct {
	s     *Store
	conds []kv.Cond
	ops   []kv.Op
	turn  *turn
	lost  bool // a try may have been carried out, or may be yet
	sent  int
}

// A transaction without an answer is sent again, while the others still wait for theirs. What a member has passed on to
// a leader that is gone has no answer, ever, and it does so until it wants another leader, a second or two later. What
// it is sent after that waits there for the new one, and is carried out as soon as there is one. An etcd that is slow
// answers the first, and has to carry out all: each pause is longer than the one before.
const (
	oncePause  = 200 * time.Millisecond
	onceLonger = 50 * time.Millisecond
	// onceOpen is how many wait for an answer at the same time. The oldest gives way then, after 2.4 s at least.
	onceOpen = 7
	// onceAnew is how often it is sent again at once: connections that have just ended are gone at the next try.
	onceAnew = 2
)

// pause is how long the last one sent is alone.
func (o *once) pause() time.Duration { return oncePause + time.Duration(o.sent-1)*onceLonger }

// sending is what has become of one that was sent.
type sending struct {
	res *pb.TxnResponse
	err error
}

// told reports whether etcd has said what became of it: that it was carried out, or that it will never be.
func (a sending) told() bool {
	return a.err == nil || kv.Known(a.err) || errors.Is(a.err, faults.ErrLease)
}

func (a sending) unsent() bool { return errors.Is(a.err, errUnsent) }

// send sends a transaction that is guarded by the turn until etcd tells of one, or ctx ends. Where another may have
// been carried out, or may be yet, lost says so.
func (o *once) send(ctx context.Context, op string, t *pb.TxnRequest) (*pb.TxnResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan sending)
	var open []context.CancelFunc // of those sent, the oldest first
	waiting := 0
	begin := func() {
		each, cancel := context.WithCancel(ctx)
		if open = append(open, cancel); len(open) > onceOpen {
			open[0]()
			open = open[1:]
		}
		o.sent++
		waiting++
		go func() {
			defer cancel()
			res, err := o.s.send(each, op, callTime, t)
			ended <- sending{res, err}
		}()
	}
	begin()
	next := time.NewTimer(o.pause())
	defer next.Stop()
	for anew := 0; ; {
		var a sending
		select {
		case a = <-ended:
		case <-next.C:
			begin()
			next.Reset(o.pause())
			continue
		}
		waiting--
		switch {
		case a.told():
			cancel()
			for ; waiting > 0; waiting-- {
				if other := <-ended; other.err == nil {
					a = other
				} else if !other.told() && !other.unsent() {
					o.lost = true
				}
			}
			return a.res, a.err
		case !a.unsent():
			o.lost = true
		}
		if waiting > 0 {
			continue
		}
		if anew == onceAnew || ctx.Err() != nil || a.unsent() || errors.Is(a.err, kv.ErrAway) {
			return nil, a.err
		}
		anew++
		begin()
	}
}

func (o *once) try(ctx context.Context) (int64, error) {
	if err := kv.Validate(o.conds, o.ops); err != nil {
		return 0, err
	}
	for {
		if o.turn == nil {
			t, err := o.s.turns.take(ctx)
			if err != nil {
				return 0, err
			}
			o.turn = t
		}
		t := o.turn
		res, err := o.send(ctx, "txn", t.guard(o.s.form(o.conds, o.ops), turnDone))
		switch {
		case err == nil:
			t.rev, o.lost = res.Header.Revision, false
			return t.rev, nil
		case errors.Is(err, kv.ErrConflict):
			rev, err := o.refused(ctx, res)
			if errors.Is(err, faults.ErrLease) && !o.lost {
				break
			}
			return rev, err
		case errors.Is(err, faults.ErrLease) && !o.lost:
		case (kv.Known(err) || errors.Is(err, errUnsent)) && !o.lost:
			return 0, err
		default:
			o.lost = true
			return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, err)
		}
		t.of.end() // etcd refuses all that names this lease
		o.turn = nil
	}
}

// refused tells why a try was refused, by what its turn is: an earlier one was carried out, or
// none was and none will be.
func (o *once) refused(ctx context.Context, res *pb.TxnResponse) (int64, error) {
	t := o.turn
	found := res.Responses[0].GetResponseRange().Kvs
	if o.lost && revision(found) == t.rev { // an earlier try may still come, and find that the conditions hold by then
		fence, err := o.send(ctx, "fence", t.guard(&pb.TxnRequest{}, turnRefused))
		switch {
		case err == nil:
			t.rev, o.lost = fence.Header.Revision, false
			return 0, kv.ErrConflict
		case !errors.Is(err, kv.ErrConflict):
			return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, err)
		}
		found = fence.Responses[0].GetResponseRange().Kvs
	}
	switch {
	case revision(found) == t.rev:
		return 0, kv.ErrConflict
	case len(found) == 0:
		return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, faults.ErrLease)
	}
	o.lost = false
	switch string(found[0].Value) {
	case t.says(turnDone):
		t.rev = revision(found)
		return t.rev, nil
	case t.says(turnRefused):
		t.rev = revision(found)
		return 0, kv.ErrConflict
	}
	// etcd was set back: no try was carried out, nor will be, and another turn is as good as a new lease's.
	return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, faults.ErrLease)
}

// What a turn says of the transaction that changed it last.
const (
	turnDone    = "done"
	turnRefused = "refused"
)

// guard has a transaction carried out only if the turn is as it was, and change it; what is refused brings the turn.
func (t *turn) guard(r *pb.TxnRequest, says string) *pb.TxnRequest {
	r.Compare = append(r.Compare, unchanged(t.key, t.rev))
	r.Success = append(r.Success, putting(&pb.PutRequest{Key: []byte(t.key), Value: []byte(t.says(says)),
		Lease: int64(t.of.id)}))
	r.Failure = []*pb.RequestOp{reading(t.key)}
	return r
}

func (t *turn) says(what string) string { return what + " " + strconv.Itoa(t.use) }

func revision(found []*mvccpb.KeyValue) int64 {
	if len(found) == 0 {
		return 0
	}
	return found[0].ModRevision
}

func (o *once) end() {
	if o.turn != nil && !o.lost {
		o.turn.of.back(o.turn)
	}
}

// unguarded is a transaction without a turn. What it leaves tells whether it was carried out.
type unguarded struct {
	s     *Store
	conds []kv.Cond
	ops   []kv.Op
	lost  bool
}

func (o *unguarded) try(ctx context.Context) (int64, error) {
	rev, err := o.s.Txn(ctx, o.conds, o.ops)
	switch {
	case err == nil:
		return rev, nil
	case errors.Is(err, kv.ErrConflict) && o.lost:
		if rev, ok := kv.Shows(ctx, o.s, o.ops); ok {
			return rev, nil
		}
		return 0, err
	case !o.lost && (kv.Known(err) || errors.Is(err, errUnsent)):
		return 0, err
	}
	o.lost = true
	return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, err)
}
