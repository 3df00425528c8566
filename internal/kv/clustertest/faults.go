package clustertest

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/kv"
)

// ErrLost is a transaction whose answer was lost. It is a kv.ErrUnavailable.
var ErrLost = fmt.Errorf("%w: the answer was lost", kv.ErrUnavailable)

// script is what comes of a transaction that is still to come.
type script struct {
	left int
	next step
	lost bool
}

// step is what comes of one transaction.
type step struct {
	first func() // before it; nil for nothing
	lose  func() // after it, and its answer is lost; nil where it is not
}

func (s step) before() {
	if s.first != nil {
		s.first()
	}
}

// step is that of the transaction that begins.
func (s *Server) step() step {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	if s.txns.left--; s.txns.left != 0 {
		return step{}
	}
	next := s.txns.next
	s.txns.next = step{}
	return next
}

// lost ends a transaction whose answer is lost.
func (s *Server) lost(ctx context.Context, step step) error {
	s.cluster.mu.Lock()
	s.txns.lost = true
	s.cluster.mu.Unlock()
	step.lose()
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrLost
}

// Lose has the answer to the server's n-th transaction from now lost, 1 being the next: it is carried out, and its
// caller gets ErrLost. End is called in the moment in which it has been carried out, and may be nil: a caller that
// leaves ends its context in it.
func (s *Server) Lose(n int, end func()) {
	if end == nil {
		end = func() {}
	}
	s.script(n, step{lose: end})
}

// Lost reports whether the answer that was to be lost has been.
func (s *Server) Lost() bool {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	return s.txns.lost
}

// Before calls f right before the server's n-th transaction from now is carried out, when all is read that it depends
// on: what another server changes in f, it conflicts with.
func (s *Server) Before(n int, f func()) { s.script(n, step{first: f}) }

func (s *Server) script(n int, next step) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.txns = script{left: n, next: next}
}

// Cut cuts the server off: until Heal every call gives kv.ErrUnavailable, watches have ended with it, and what the
// server held is lost, as if kv.HoldTime had passed.
func (s *Server) Cut() {
	s.change(func() {
		s.cut = true
		s.letGo()
	})
}

// Heal ends Cut.
func (s *Server) Heal() { s.change(func() { s.cut = false }) }

// Stall has the server's watches tell nothing any more, not even that they are alive, until Resume.
func (s *Server) Stall() { s.change(func() { s.stalled = true }) }

// Resume ends Stall: the watches tell what came meanwhile, or that they have fallen behind.
func (s *Server) Resume() { s.change(func() { s.stalled = false }) }

// BreakWatches ends the server's watches with the error, kv.ErrUnavailable or kv.ErrLagging, say, and then each that
// begins, until it is called with nil.
func (s *Server) BreakWatches(err error) {
	s.change(func() {
		if s.broken = err; err != nil {
			s.breaks++
		}
	})
}

// LoseHolds ends what the server holds, as when its lease has ended: another may hold it then.
func (s *Server) LoseHolds() { s.change(s.letGo) }

// Compact forgets all changes so far: a watch that is to begin with one of them, or has not told of it, lags.
func (c *Cluster) Compact() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compacted, c.log = c.rev, nil
	c.wake()
}

func (s *Server) change(f func()) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	f()
	s.cluster.wake()
}

// Once is a server whose transactions can be sent again, as etcd's are; it is a kv.Once.
type Once struct{ *Server }

var _ kv.Once = Once{}

// Once gives the tries of one transaction.
func (s Once) Once(conds []kv.Cond, ops []kv.Op) (try func(context.Context) (int64, error), end func()) {
	var sent, done bool
	var rev int64
	var outcome error
	return func(ctx context.Context) (int64, error) {
		if err := kv.Validate(conds, ops); err != nil {
			return 0, err
		}
		step := s.step()
		step.before()
		if err := s.enter(ctx); err != nil {
			if sent {
				err = fmt.Errorf("%w: %w", kv.ErrUnknown, err)
			}
			return 0, err
		}
		if !done { // or it is the one of the try before
			rev, outcome = s.cluster.txn(conds, ops)
			done = outcome == nil
		}
		s.cluster.mu.Unlock()
		if step.lose != nil {
			sent = true
			return 0, errors.Join(kv.ErrUnknown, s.lost(ctx, step))
		}
		return rev, outcome
	}, func() {}
}
