// Package turns lets those who replace one organisation's secrets go one after the other: each reads all of them first,
// and together they would only make one another's reading void.
package turns

import (
	"context"
	"sync"

	"strongroom/internal/id"
)

// Turns are the turns of all organisations. The zero value is ready.
type Turns struct {
	mu   sync.Mutex
	orgs map[id.ID]*turn
}

type turn struct {
	free    chan struct{} // holds one while it is nobody's turn
	waiting int
}

// Take waits for the organisation's turn, and gives what ends it; ctx's error where that ends before.
func (ts *Turns) Take(ctx context.Context, org id.ID) (end func(), err error) {
	ts.mu.Lock()
	if ts.orgs == nil {
		ts.orgs = make(map[id.ID]*turn)
	}
	t := ts.orgs[org]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		ts.orgs[org] = t
	}
	t.waiting++
	ts.mu.Unlock()
	leave := func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(ts.orgs, org)
		}
	}
	select {
	case <-t.free:
		return func() {
			t.free <- struct{}{}
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
