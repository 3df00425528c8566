package persecret

import (
	"context"
	"slices"
	"sync"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// lists has the lists of one organisation that are asked for while one is being made be made together, as the next one: it
// begins after all of them were asked for, so each sees what its caller has a right to see.
type lists struct {
	mu   sync.Mutex
	orgs map[id.ID]*lister
}

// lister makes an organisation's lists. It exists while one is being made.
type lister struct{ next *flight }

// flight is one list that is being made or waited for.
type flight struct {
	done chan struct{}
	keys []string
	err  error
}

// Keys lists the organisation's secrets.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := s.lists.join(org, func(l *lister, f *flight) { s.running.Go(func() { s.fly(org, l, f) }) })
	select {
	case <-f.done:
		return slices.Clone(f.keys), f.err
	case <-ctx.Done():
		return nil, conn.Known(ctx, ctx.Err())
	}
}

// join gives the next list of the organisation, and has the first one begin.
func (l *lists) join(org id.ID, begin func(*lister, *flight)) *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.orgs[org]
	if at == nil {
		if l.orgs == nil {
			l.orgs = make(map[id.ID]*lister)
		}
		at = new(lister)
		l.orgs[org] = at
		f := &flight{done: make(chan struct{})}
		begin(at, f)
		return f
	}
	if at.next == nil {
		at.next = &flight{done: make(chan struct{})}
	}
	return at.next
}

// fly makes a list and those that were asked for meanwhile, until there are none.
func (s *Store) fly(org id.ID, l *lister, f *flight) {
	for f != nil {
		ctx, cancel := s.conn.Bound(s.conn.Base())
		f.keys, f.err = s.keys(ctx, org)
		cancel()
		close(f.done)
		s.lists.mu.Lock()
		if f, l.next = l.next, nil; f == nil {
			delete(s.lists.orgs, org)
		}
		s.lists.mu.Unlock()
	}
}
