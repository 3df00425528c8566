package etcd

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/metadata"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

// silence is after how long without a word from etcd a watch counts as broken. It asks for one every kv.WatchPulse.
const silence = 4 * kv.WatchPulse

// Watch tells of changes; see kv.Store. Those from now on are told to all by one watch of etcd.
func (s *Store) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	if after > 0 {
		return s.watch(ctx, prefix, after, nil, tell)
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.follow.Follow(ctx, prefix, tell)
}

// watch is a watch of etcd. It needs a member that has a leader: one that is cut off from the others ends it. So does
// an etcd whose revision is below what was told: it was set back. What comes from wanted has it ask how far it is.
func (s *Store) watch(ctx context.Context, prefix string, after int64, wanted <-chan struct{},
	tell func(kv.Update)) (err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	knows, over := s.metrics.watching()
	defer func() { over(err) }()
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	// A stream of its own: how far a watch is, etcd tells all of a stream, also one that is just taken up again and
	// not there yet. The client has one stream for all contexts of the same metadata.
	watching = metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(watching),
		"strongroom-watch", strconv.FormatInt(s.watches.Add(1), 10))

	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify()}
	if after > 0 {
		opts = append(opts, clientv3.WithRev(after+1))
	}
	// The end of ctx and of the store are told as such, whatever else has come of them.
	ended := func(err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.ending.Err() != nil:
			return kv.ErrClosed
		}
		return err
	}
	pulse := time.NewTicker(kv.WatchPulse)
	defer pulse.Stop()
	heard := time.Now()
	var known []moment // up to which all has been told when the watch has come to their revisions
	if after == 0 {
		known = []moment{{at: heard}}
	}
	asked, idle := make(chan moment, 1), make(chan struct{}, 1)
	idle <- struct{}{}
	responses := s.client.Watch(watching, s.data+prefix, opts...)
	rev, told := after, false
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	learn := func(m moment) (setBack error) {
		if m.rev < m.told {
			return kv.ErrLagging
		}
		known = append(known, m)
		return nil
	}
	for {
		select {
		case <-watching.Done():
			return ended(faults.Unavailable("the watch was ended"))
		case <-pulse.C:
			if time.Since(heard) > silence {
				return ended(faults.Unavailable("etcd is silent"))
			}
			select {
			case <-idle:
				told := rev
				asking.Go(func() {
					s.askProgress(watching, told, asked)
					idle <- struct{}{}
				})
			default: // etcd has not answered yet
			}
		case <-wanted:
			asking.Go(func() {
				bounded, cancel := context.WithTimeout(watching, callTime)
				defer cancel()
				_ = s.client.RequestProgress(bounded) // where it fails, the silence is noticed
			})
		case m := <-asked:
			if err := learn(m); err != nil {
				return ended(err)
			}
		case res, ok := <-responses:
			heard = time.Now()
			select {
			case m := <-asked: // before the answer that it is about
				if err := learn(m); err != nil {
					return ended(err)
				}
			default:
			}
			switch {
			case !ok:
				return ended(faults.Unavailable("the watch was ended"))
			case res.CompactRevision != 0:
				return ended(kv.ErrLagging)
			case res.Err() != nil:
				return ended(faults.Of(watching, res.Err()))
			}
			u := kv.Update{Rev: res.Header.Revision, Events: make([]kv.Event, 0, len(res.Events))}
			if res.Created && after > 0 { // what came before it is still to be told
				u.Rev = after
			}
			for _, e := range res.Events {
				if told && e.Kv.ModRevision <= rev { // told before the client's connection broke
					continue
				}
				u.Events = append(u.Events,
					kv.Event{Record: s.record(e.Kv), Deleted: e.Type == clientv3.EventTypeDelete})
			}
			if n := len(res.Events); n > 0 { // the header may be ahead of what is told
				u.Rev = res.Events[n-1].Kv.ModRevision
			}
			for len(known) > 0 && known[0].rev <= u.Rev {
				u.Known, known = known[0].at, known[1:]
			}
			if u.Rev < rev || told && u.Rev == rev && len(u.Events) == 0 && !res.IsProgressNotify() {
				continue
			}
			rev, told = u.Rev, true
			tell(u)
			if !u.Known.IsZero() {
				knows(u.Known)
			}
		}
	}
}

// moment is a point in time, the revision that etcd had then, or later, and the one up to which all was told by then.
type moment struct {
	at        time.Time
	rev, told int64
}

// askProgress has the watch told how far it is, and tells before at which revision all is told
// that had returned by now.
func (s *Store) askProgress(ctx context.Context, told int64, asked chan<- moment) {
	bounded, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	now := time.Now()
	// A read of nothing, and linearizable: what has returned by now is in the revision that it gives.
	if res, err := s.client.Get(bounded, s.names, clientv3.WithCountOnly()); err == nil {
		_ = s.reach.Heard(nil)
		asked <- moment{now, res.Header.Revision, told}
	}
	_ = s.client.RequestProgress(bounded) // where it fails, the silence is noticed
}

// Hasten has etcd say how far the watch is that all follow, for which it is else asked every kv.WatchPulse: what others
// write beside these records raises etcd's revision, and the watch hears nothing of it.
func (s *Store) Hasten() {
	select {
	case s.hasten <- struct{}{}:
	default: // it is about to be asked
	}
}

// Revision gives etcd's revision, which is that of all transactions that had returned by the call, or a later one.
func (s *Store) Revision(ctx context.Context) (rev int64, err error) {
	err = s.read(ctx, "revision", func(ctx context.Context) error {
		// A read of nothing, and linearizable.
		res, err := s.client.Get(ctx, s.names, clientv3.WithCountOnly())
		if err == nil {
			rev = res.Header.Revision
		}
		return err
	})
	return rev, err
}

// Hold holds a name; see kv.Store. It is etcd's own lock: a key of a lease that this server keeps alive.
func (s *Store) Hold(ctx context.Context, name string) (held context.Context, release func(), err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	if err := s.reach.Away(); err != nil {
		return nil, nil, err
	}
	waiting, cancel := s.reach.Until(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	fail := func(err error) (context.Context, func(), error) {
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case s.ending.Err() != nil:
			err = kv.ErrClosed
		case errors.Is(err, concurrency.ErrSessionExpired):
			err = faults.Unavailable("the lease has ended")
		default:
			err = s.reach.Heard(faults.Of(ctx, err))
		}
		return nil, nil, err
	}
	granting, cancelGrant := context.WithTimeout(waiting, callTime)
	lease, err := s.client.Grant(granting, int64(kv.HoldTime/time.Second))
	cancelGrant()
	if err != nil {
		return fail(err)
	}
	// The lease lives until it is released or the store ends, not with the context of whoever waits for it.
	living, stop := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(s.ending, stop)
	end := sync.OnceFunc(func() {
		unhook()
		stop()
		revoking, cancel := s.reach.Bound(context.WithoutCancel(ctx), callTime)
		defer cancel()
		_, _ = s.client.Revoke(revoking, lease.ID) // else it ends by itself, after kv.HoldTime
	})
	session, err := concurrency.NewSession(s.client, concurrency.WithLease(lease.ID), concurrency.WithContext(living))
	if err != nil {
		end()
		return fail(err)
	}
	if err := concurrency.NewMutex(session, s.names+name).Lock(waiting); err != nil {
		end()
		return fail(err)
	}
	held, lost := context.WithCancel(ctx)
	s.metrics.held.Inc()
	go func() {
		select {
		case <-session.Done(): // the lease has ended, or the store
			if s.ending.Err() == nil {
				s.metrics.lost.Inc()
			}
		case <-held.Done():
		}
		s.metrics.held.Dec()
		lost()
	}()
	return held, func() { lost(); end() }, nil
}
