package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUnknown is a transaction of which nobody can tell whether it was carried out, not even by asking again: the disk
// failed, say, and what it holds shows after a restart alone.
var ErrUnknown = errors.New("kv: it is not known whether the transaction was carried out")

// How a settled transaction is carried out: each try has its own end, and after the last one the outcome is unknown.
const (
	settleTries = 3
	settleEach  = 20 * time.Second
	settlePause = 100 * time.Millisecond
	settleRest  = 400 * time.Millisecond // the longest pause between two that are sent again
	// settleTime is for how long an engine that carries out once is asked again. A cluster has a new leader by then.
	settleTime = 10 * time.Second
)

// Once is an engine to which a transaction can be sent again: it is carried out once at most, also where an earlier try
// arrives late, and after others have changed the same records.
type Once interface {
	// Once gives the tries of one transaction, and what is called after the last. A try that gives ErrUnknown
	// may have been carried out, or may be yet: only another can tell. What gives any other error was not
	// carried out, and will not be.
	Once(conds []Cond, ops []Op) (try func(context.Context) (int64, error), end func())
}

// Settled gives, of an engine, one with transactions that tell the truth: what Txn gives as an error has not been
// carried out, but for ErrUnknown. A transaction that has begun goes on when its caller's context ends. Where the
// engine's answer is lost, the same transaction is put to it again: it is carried out then, or its conditions show that
// something has been changed, and what it was to put shows by whom.
//
// Two transactions that put the same bytes cannot be told apart by that; either has then left what was wanted. Where
// others write to the engine, too, that is not enough: it is a Once then, and asked as that.
func Settled(s Store) Store {
	if _, already := s.(interface{ Settled() }); already {
		return s
	}
	return &settled{s}
}

type settled struct{ Store }

// Settled marks it, and what stands on it and has the same transactions.
func (s *settled) Settled() {}

// Skip is the engine's.
func (s *settled) Skip(ctx context.Context, prefix, from string, back bool, n int) (string, int, error) {
	return Skip(ctx, s.Store, prefix, from, back, n)
}

// Txn is the engine's, settled.
func (s *settled) Txn(ctx context.Context, conds []Cond, ops []Op) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx = context.WithoutCancel(ctx)
	if e, ok := s.Store.(Once); ok {
		return once(ctx, e, conds, ops)
	}
	var lost error
	for try := range settleTries {
		if try > 0 {
			time.Sleep(time.Duration(try) * settlePause)
		}
		rev, err := s.try(ctx, conds, ops)
		switch {
		case err == nil, Known(err) && lost == nil:
			return rev, err
		case errors.Is(err, ErrConflict): // perhaps with the try before
			if rev, ok := Shows(ctx, s.Store, ops); ok {
				return rev, nil
			}
			return 0, err
		case errors.Is(err, ErrFault):
			// Nothing is written any more. What can be read is not sure to be on disk.
			if _, ok := Shows(ctx, s.Store, ops); ok || lost != nil {
				return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
			}
			return 0, err
		}
		lost = err
	}
	return 0, fmt.Errorf("%w: %w", ErrUnknown, lost)
}

// once sends a transaction until its outcome is known, but no longer than settleTime, nor to an engine that is away.
func once(ctx context.Context, e Once, conds []Cond, ops []Op) (int64, error) {
	try, end := e.Once(conds, ops)
	defer end()
	for began, pause := time.Now(), settlePause; ; pause = min(2*pause, settleRest) {
		start := time.Now()
		trying, cancel := context.WithTimeout(ctx, settleTime-start.Sub(began))
		rev, err := try(trying)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrUnknown) {
			err = fmt.Errorf("%w: it has not begun in time", ErrUnavailable)
		}
		again := (errors.Is(err, ErrUnknown) || errors.Is(err, ErrUnavailable)) && !errors.Is(err, ErrAway)
		rest := pause - time.Since(start) // a try that has waited was a pause
		if !again || time.Since(began)+rest >= settleTime {
			return rev, err
		}
		time.Sleep(rest)
	}
}

func (s *settled) try(ctx context.Context, conds []Cond, ops []Op) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, settleEach)
	defer cancel()
	return s.Store.Txn(ctx, conds, ops)
}

// Known reports whether the error says that nothing was carried out.
func Known(err error) bool {
	for _, e := range []error{ErrConflict, ErrTooLarge, ErrInvalid, ErrFull, ErrDenied, ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Shows reports whether the data are as the operations leave them, with the revision of what they put.
func Shows(ctx context.Context, s Store, ops []Op) (rev int64, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, settleEach)
	defer cancel()
	for _, op := range ops {
		switch op.Kind {
		case OpPut:
			r, err := s.Get(ctx, op.Key)
			if err != nil || !bytes.Equal(r.Value, op.Value) || rev != 0 && r.Rev != rev {
				return 0, false
			}
			rev = r.Rev
		case OpDelete:
			if _, err := s.Get(ctx, op.Key); !errors.Is(err, ErrNotFound) {
				return 0, false
			}
		case OpDeletePrefix:
			if rs, err := s.List(ctx, op.Key, "", 1); err != nil || len(rs) > 0 {
				return 0, false
			}
		}
	}
	return rev, true
}
