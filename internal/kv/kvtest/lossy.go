package kvtest

import (
	"context"
	"errors"
	"sync"

	"strongroom/internal/kv"
)

// ErrLost is what Lossy answers with in the place of the engine.
var ErrLost = errors.New("kvtest: the answer was lost")

// Lossy is an engine whose answers can be lost: the transaction is carried out, and its caller gets an error.
type Lossy struct {
	kv.Store

	mu   sync.Mutex
	left int
	lose func() // nil: no answer is lost
	lost bool
}

// Lose has the answer to the n-th transaction from now lost, 1 being the next. End is called in the moment in which it
// has been carried out, and may be nil: a caller that leaves ends its context in it.
func (l *Lossy) Lose(n int, end func()) {
	if end == nil {
		end = func() {}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.lose, l.lost = n, end, false
}

// Lost reports whether the answer that was to be lost has been.
func (l *Lossy) Lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Txn carries out the transaction; see Lose.
func (l *Lossy) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	rev, err := l.Store.Txn(ctx, conds, ops)
	l.mu.Lock()
	l.left--
	lose := l.lose
	if l.left != 0 || lose == nil {
		l.mu.Unlock()
		return rev, err
	}
	l.lose, l.lost = nil, true
	l.mu.Unlock()
	lose()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return 0, ErrLost
}
