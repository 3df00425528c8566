package kvtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// Gathering is an engine that answers no read of some records before so many of them have been asked for at the same
// time. With it a test shows that what is read for one answer is asked for together, as an engine elsewhere wants it.
type Gathering struct {
	kv.Store

	mu      sync.Mutex
	of      func(key string) bool
	many    int
	waiting []chan struct{}
	fails   error
}

// Want has reads of these records wait until there are so many; with 0 none waits.
func (g *Gathering) Want(many int, of func(key string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.many, g.of, g.waiting = many, of, nil
}

// Fail has every read of a record fail from now on.
func (g *Gathering) Fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fails = err
}

// Get is the engine's, or a failure where nobody else asks within a minute.
func (g *Gathering) Get(ctx context.Context, key string) (kv.Record, error) {
	answered, err := g.ask(key)
	if err != nil {
		return kv.Record{}, err
	}
	select {
	case <-answered:
		return g.Store.Get(ctx, key)
	case <-ctx.Done():
		return kv.Record{}, ctx.Err()
	case <-time.After(time.Minute):
		return kv.Record{}, errors.New("a record was asked for, and not those that are read with it")
	}
}

func (g *Gathering) ask(key string) (answered chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	answered = make(chan struct{})
	if g.many == 0 || !g.of(key) {
		close(answered)
		return answered, g.fails
	}
	if g.waiting = append(g.waiting, answered); len(g.waiting) >= g.many {
		for _, one := range g.waiting {
			close(one)
		}
		g.waiting = nil
	}
	return answered, g.fails
}
