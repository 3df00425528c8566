// Package etcd is the kv.Store of several servers: the data are in an etcd cluster, of version 3.5.8 or later: before
// that, etcd's word for how far a watch is could be early.
//
// Below the prefix that the configuration gives there are
//
//	<prefix>d/<key>        the records; a record's revision is etcd's ModRevision of its key
//	<prefix>hold/<name>/…  who holds a name (Hold)
//	<prefix>turn/<n>       the turns by which a transaction that is sent again is carried out once (Once)
//
// Reads are linearizable. A read that one member does not answer in time is sent again, to the next; a transaction is
// sent once by Txn, for nobody can know whether one without an answer was carried out, and as often as needed by Once.
// Errors name no address.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/diagnose"
	"strongroom/internal/kv/etcd/faults"
	"strongroom/internal/kv/etcd/follow"
	"strongroom/internal/kv/etcd/gets"
	"strongroom/internal/kv/etcd/members"
	"strongroom/internal/kv/etcd/ranges"
	"strongroom/internal/kv/etcd/reach"
	"strongroom/internal/kv/etcd/roots"
	"strongroom/internal/kv/etcd/user"
	"strongroom/internal/tracing"
)

// The bounds of one call. What a member does not answer within readTry another is asked; what nobody answers within
// callTime is unavailable. A read that is refused for the moment is asked again after readPause.
const (
	readTry   = 1 * time.Second
	readTries = 3
	readPause = 50 * time.Millisecond
	callTime  = 5 * time.Second
	dialTime  = 2 * time.Second
	// keepAlive is how long a connection may be silent before it is asked whether the other end is there, and
	// keepAliveWait how long that may take. An etcd as it comes ends connections that ask more often than that.
	keepAlive     = 5 * time.Second
	keepAliveWait = 2 * time.Second
)

// How much a member may send before it is read: for one call, and for all. With sizes of their own, grpc does not
// measure what the line takes, for which it sends a ping with each answer: the reads and writes of sockets for a change
// by one client were 18.7 here and 45 at three members, and are 14.0 and 41 without.
const (
	window     = 4 << 20
	connWindow = 8 << 20
)

// Config says which cluster, and who asks.
type Config struct {
	Endpoints []string // URLs, http or https, all of one kind
	TLS       *tls.Config
	// Roots, where it is not nil, gives at each handshake the authorities to trust then.
	Roots    func() *x509.CertPool
	Username string
	// Password, where there is a user, gives the password as it is now: etcd is asked for a token with it again and
	// again.
	Password func() (string, error)
	Prefix   string // what all keys begin with; it ends with a slash
	// Patience is for how long etcd may answer nobody before it counts as away. 0 is for reach.Patience.
	Patience time.Duration
}

// Store is an etcd cluster. It is a kv.Store.
type Store struct {
	client *clientv3.Client
	txns   pb.KVClient // the client's, as it is on the wire
	as     *user.Auth  // nil where etcd asks for none
	data   string      // what the keys of records begin with
	names  string      // those of holds
	turns  turns
	gets   *gets.Queue
	ranges ranges.Known
	follow *follow.Watch
	reach  *reach.Reach
	hasten chan struct{}     // has one where how far that is should be asked
	asking func(ranges.Span) // is told of each range before it is asked for, in tests

	watches atomic.Int64 // how many there have been

	mu      sync.RWMutex // held for reading while a call begins, for writing by Close
	closed  bool
	calls   sync.WaitGroup
	ending  context.Context // ends with Close, and what runs in the background with it
	end     context.CancelFunc
	metrics *metrics
}

var _ kv.Store = (*Store)(nil)

// Open connects to the cluster and reads from it once. It returns kv.ErrUnavailable where no member answers, and an
// error that says what is wrong where the cluster refuses the caller.
func Open(ctx context.Context, c Config) (*Store, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("no endpoint of etcd is given")
	}
	options := append(members.Options(dialTime), grpc.WithUserAgent("strongroom"),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(connWindow))
	if c.TLS != nil && c.Roots != nil {
		options = append(options, grpc.WithTransportCredentials(roots.Follow(c.TLS, c.Roots)))
	}
	password := ""
	var as *user.Auth
	if c.Username != "" {
		var err error
		if password, err = c.Password(); err != nil {
			return nil, err
		}
		as = user.New(c.Password, password)
		options = append(options, as.Watched())
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: c.TLS, Username: c.Username, Password: password,
		DialTimeout: dialTime, DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAliveWait,
		PermitWithoutStream: true,
		Logger:              zap.NewNop(), // what is wrong is told by the calls' errors
		DialOptions:         options,
	})
	if err != nil {
		return nil, faults.Of(ctx, err)
	}
	if as != nil {
		as.Serve(client)
	}
	s := &Store{client: client, txns: clientv3.RetryKVClient(client), as: as, data: c.Prefix + "d/",
		names: c.Prefix + "hold/", hasten: make(chan struct{}, 1), reach: reach.New(c.Patience),
		metrics: newMetrics()}
	s.ending, s.end = context.WithCancel(context.Background())
	s.turns = turns{store: s, folder: c.Prefix + "turn/"}
	s.gets = gets.New(s.getAll, callTime)
	s.follow = follow.New(func(ctx context.Context, tell func(kv.Update)) error {
		return s.watch(ctx, "", 0, s.hasten, tell)
	}, s.Revision)
	if _, err := s.List(ctx, "", "", 1); err != nil {
		err = errors.Join(err, s.Close())
		if errors.Is(err, kv.ErrUnavailable) {
			err = diagnose.Why(ctx, diagnose.Cluster{Endpoints: c.Endpoints, TLS: c.TLS, Roots: c.Roots,
				Patience: dialTime}, err)
		}
		return nil, err
	}
	if len(c.Endpoints) > 1 {
		s.calls.Go(func() { s.probe(len(c.Endpoints)) })
	}
	s.calls.Go(func() { s.reach.Follow(s.ending, s.hears) })
	return s, nil
}

// enter lets a call begin, unless the store is closed. Close waits until the call is left.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, kv.ErrClosed
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// begin lets a call begin whose context ends with the caller's, after the bound, and when etcd is away. Where it is
// that already, no call begins.
func (s *Store) begin(ctx context.Context, bound time.Duration) (context.Context, func(), error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := s.reach.Away(); err != nil {
		leave()
		return nil, nil, err
	}
	bounded, cancel := s.reach.Bound(ctx, bound)
	return bounded, func() { cancel(); leave() }, nil
}

// read does a read until it has an answer. The first tries are short: where a member stands still, the next answers.
// The last one takes what time is left, for an answer that is large.
func (s *Store) read(ctx context.Context, op string, do func(context.Context) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return s.ask(ctx, op, do)
}

// ask is read for a call that has begun.
func (s *Store) ask(ctx context.Context, op string, do func(context.Context) error) error {
	ctx, span := tracing.Begin(ctx, "etcd", op)
	start := time.Now()
	err := s.reach.Away()
	if err == nil {
		err = s.outcome(ctx, s.askAgain(ctx, do))
	}
	span.End(s.metrics.observe(op, start, err), err != nil)
	return err
}

// askAgain asks until there is an answer, or a refusal that is not for the moment, for callTime at most.
func (s *Store) askAgain(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := s.reach.Bound(ctx, callTime)
	defer cancel()
	for slow := 0; ; {
		each := readTry
		if slow >= readTries-1 {
			each = callTime
		}
		try, cancel := context.WithTimeout(bounded, each)
		err := do(try)
		late := try.Err() != nil
		cancel()
		switch {
		case err == nil || bounded.Err() != nil || !late && !faults.Passing(err):
			return err
		case late:
			slow++
			continue
		}
		select {
		case <-bounded.Done():
			return err
		case <-time.After(readPause):
		}
	}
}

// lagging makes of etcd's word for a revision that it does not have any more package kv's.
func lagging(err error) error {
	if errors.Is(err, rpctypes.ErrCompacted) {
		return kv.ErrLagging
	}
	return err
}

func (s *Store) records(found []*mvccpb.KeyValue) []kv.Record {
	recs := make([]kv.Record, len(found))
	for i, r := range found {
		recs[i] = s.record(r)
	}
	return recs
}

// record is etcd's record as package kv has it. A value of no bytes is one, and not nil.
func (s *Store) record(r *mvccpb.KeyValue) kv.Record {
	value := r.Value
	if value == nil {
		value = []byte{}
	}
	return kv.Record{Key: string(r.Key[len(s.data):]), Value: value, Rev: r.ModRevision}
}

// Txn carries out a transaction. One whose conditions were found not to hold, or that etcd refused, was not carried
// out; after any other error that is not known.
func (s *Store) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if err := kv.Validate(conds, ops); err != nil {
		if ended := ctx.Err(); ended != nil {
			return 0, ended
		}
		return 0, err
	}
	res, err := s.send(ctx, "txn", callTime, s.form(conds, ops))
	if err != nil {
		return 0, err
	}
	return res.Header.Revision, nil
}

// form is a transaction in etcd's form. The client's own way to it copies every condition three times, and each value
// twice: 4 % of a server's CPU time for a change.
func (s *Store) form(conds []kv.Cond, ops []kv.Op) *pb.TxnRequest {
	t := &pb.TxnRequest{Compare: make([]*pb.Compare, len(conds), len(conds)+1),
		Success: make([]*pb.RequestOp, len(ops), len(ops)+1)}
	for i, c := range conds {
		t.Compare[i] = unchanged(s.data+c.Key, c.Rev)
	}
	for i, op := range ops {
		key := []byte(s.data + op.Key)
		switch op.Kind {
		case kv.OpPut:
			t.Success[i] = putting(&pb.PutRequest{Key: key, Value: op.Value})
		case kv.OpDelete:
			t.Success[i] = deleting(&pb.DeleteRangeRequest{Key: key})
		case kv.OpDeletePrefix:
			t.Success[i] = deleting(&pb.DeleteRangeRequest{Key: key,
				RangeEnd: []byte(clientv3.GetPrefixRangeEnd(string(key)))})
		}
	}
	return t
}

// unchanged is the condition that a key has the revision; with 0, that it is not there.
func unchanged(key string, rev int64) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
		TargetUnion: &pb.Compare_ModRevision{ModRevision: rev}}
}

func putting(r *pb.PutRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
}

func deleting(r *pb.DeleteRangeRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
}

func reading(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
}

// send sends a transaction once. With kv.ErrConflict it gives what the otherwise operations answered.
func (s *Store) send(ctx context.Context, op string, bound time.Duration, t *pb.TxnRequest) (*pb.TxnResponse, error) {
	ctx, span := tracing.Begin(ctx, "etcd", op)
	start := time.Now()
	bounded, done, err := s.begin(ctx, bound)
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnsent, err)
		span.End(s.metrics.observe(op, start, err), true)
		return nil, err
	}
	defer done()
	bounded, sending := s.as.Sending(bounded)
	res, err := s.txns.Txn(bounded, t)
	switch {
	case err != nil:
		err = clientv3.ContextError(bounded, err)
	case !res.Succeeded:
		err = kv.ErrConflict
	}
	err = s.outcome(ctx, err)
	if err != nil && !kv.Known(err) && sending.Unsent() {
		err = fmt.Errorf("%w: %w", errUnsent, err)
	}
	span.End(s.metrics.observe(op, start, err), err != nil)
	return res, err
}

// errUnsent is a transaction that etcd has not been asked for: no token was to be had in time, say.
var errUnsent = errors.New("etcd was not asked")

// Close waits for the calls under way, each callTime at most, and ends the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.calls.Wait()
	s.gets.Wait() // for calls whose readers have left
	if already {
		return nil
	}
	s.turns.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("closing the connection to etcd: %w", err)
	}
	return nil
}

// outcome makes of a call's error what package kv says, and takes note of whether etcd answers.
func (s *Store) outcome(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, kv.ErrConflict), errors.Is(err, kv.ErrNotFound), errors.Is(err, kv.ErrLagging):
	default:
		err = faults.Of(ctx, err)
	}
	return s.reach.Heard(err)
}

// hears asks whether etcd answers what takes a majority of its members.
func (s *Store) hears(ctx context.Context) error {
	_, err := s.client.Get(ctx, s.names, clientv3.WithCountOnly()) // a read of nothing, and linearizable
	if err != nil {
		err = faults.Of(context.WithoutCancel(ctx), err)
	}
	return err
}

// Each member is asked so often whether it answers (package members), and has so long for it.
const (
	probeEvery = 500 * time.Millisecond
	probeTime  = 500 * time.Millisecond
)

// probe asks n members again and again until the store is closed.
func (s *Store) probe(n int) {
	every := time.NewTicker(probeEvery)
	defer every.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case <-every.C:
		}
		var asked sync.WaitGroup
		for range n {
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(members.Probing(s.ending), probeTime)
				defer cancel()
				// What becomes of it is noted there.
				_, _ = s.client.Get(ctx, s.names, clientv3.WithSerializable(), clientv3.WithCountOnly())
			})
		}
		asked.Wait()
	}
}
