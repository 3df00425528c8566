// Package flight has what several callers ask for at the same time made for them together. Two of an organisation are
// being made at a time; all who ask meanwhile get the next one, which begins after they have asked, so that it shows
// whatever had happened by then. (Package cache gives out what was begun before.)
//
// A caller who leaves takes nobody's answer with him: what is begun at once is for its caller alone, and the next is
// nobody's own.
package flight

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// atOnce is how many of one organisation are being made at a time. Fewer are less work for Vault, and more are
// less to wait for where it is far away: with one, those who ask again and again wait for the rest of another's
// and then for their own.
const atOnce = 2

// Group makes things of one kind, such as lists. Make it with New.
type Group[T any] struct {
	make  func(ctx context.Context, org id.ID) (T, error)
	bound func() (context.Context, context.CancelFunc)

	mu      sync.Mutex
	closed  bool
	turns   map[id.ID]*turn[T]
	running sync.WaitGroup // a goroutine for each that nobody alone has asked for
}

// turn is an organisation's. It exists while something of it is being made.
type turn[T any] struct {
	under int // how many are being made
	next  *flight[T]
}

// flight is what several wait for.
type flight[T any] struct {
	waiting int // those who have not left
	done    chan struct{}
	value   T
	err     error
}

// New makes a group of what fetch gives. bound gives the context of what nobody alone has asked for.
func New[T any](bound func() (context.Context, context.CancelFunc),
	fetch func(ctx context.Context, org id.ID) (T, error)) *Group[T] {
	return &Group[T]{make: fetch, bound: bound, turns: map[id.ID]*turn[T]{}}
}

// Close waits for what is being made that nobody alone has asked for, which the end of its context cuts off. What would
// begin later is refused.
func (g *Group[T]) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
}

// Get gives what begins to be made from now on. Others may get the same value.
func (g *Group[T]) Get(ctx context.Context, org id.ID) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, conn.Known(ctx, err)
	}
	f, err := g.join(org)
	if err != nil {
		return none, err
	}
	if f == nil {
		defer g.goOn(org)
		return g.known(ctx, org)
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		f.waiting--
		return none, conn.Known(ctx, ctx.Err())
	}
}

// known makes one, and tells an error for what it is.
func (g *Group[T]) known(ctx context.Context, org id.ID) (T, error) {
	v, err := g.made(ctx, org)
	if err != nil {
		err = conn.Known(ctx, err)
	}
	return v, err
}

// made makes one. Where that panics, it is an error, which has where for the log: it goes on in the background as well,
// and must not take the server down.
func (g *Group[T]) made(ctx context.Context, org id.ID) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading from Vault panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return g.make(ctx, org)
}

// join gives the organisation's next flight; nil where it is the caller's turn.
func (g *Group[T]) join(org id.ID) (*flight[T], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, conn.ErrClosed
	}
	t := g.turns[org]
	if t == nil {
		t = new(turn[T])
		g.turns[org] = t
	}
	if t.under < atOnce {
		t.under++
		return nil, nil
	}
	if t.next == nil {
		t.next = &flight[T]{done: make(chan struct{})}
	}
	t.next.waiting++
	return t.next, nil
}

// goOn begins what was asked for while as many were being made as may be.
func (g *Group[T]) goOn(org id.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.next(org)
	if f == nil {
		return
	}
	g.running.Go(func() {
		for f != nil {
			g.fly(org, f)
			g.mu.Lock()
			f = g.next(org)
			g.mu.Unlock()
		}
	})
}

// next gives what is to be made in the place of what has been, where anybody waits for it. The lock is held.
func (g *Group[T]) next(org id.ID) *flight[T] {
	t := g.turns[org]
	f := t.next
	t.next = nil
	switch {
	case f == nil:
	case g.closed:
		f.err = conn.ErrClosed
		close(f.done)
	case f.waiting > 0:
		return f
	}
	if t.under--; t.under == 0 {
		delete(g.turns, org)
	}
	return nil
}

func (g *Group[T]) fly(org id.ID, f *flight[T]) {
	ctx, cancel := g.bound()
	defer cancel()
	defer close(f.done)
	f.value, f.err = g.known(ctx, org)
}
