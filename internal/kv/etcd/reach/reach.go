// Package reach knows whether an etcd answers at all, so that nobody waits for one that has been away for long.
//
// While etcd has a new leader, it answers nobody for a second or two, and whoever waits is served. That is also so when
// members or the network fail for a moment. What answers nobody for Patience is away: who waits is told so, and so is
// at once who comes then, until etcd answers again.
package reach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/faults"
)

// Patience is for how long etcd may answer nobody before it counts as away. An election takes as long as its members
// wait for a leader, one or two seconds as etcd comes, and once more where it gives none.
const Patience = 5 * time.Second

// Where nobody has had an answer for two looks, etcd is asked, and has so long for it.
const (
	lookEvery = 500 * time.Millisecond
	askTime   = time.Second
)

// Reach is whether etcd answers. Make it with New.
type Reach struct {
	patience time.Duration
	answered atomic.Bool // since the last look

	mu   sync.Mutex
	here context.Context // ends when etcd goes away
	end  context.CancelFunc
	away error // nil while it is not
}

// New begins with an etcd that is not away. It may answer nobody for so long; 0 is for Patience.
func New(patience time.Duration) *Reach {
	r := &Reach{patience: cmp.Or(patience, Patience)}
	r.here, r.end = context.WithCancel(context.Background())
	return r
}

// Away is a kv.ErrAway while etcd is, and else nil.
func (r *Reach) Away() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away
}

// Bound gives the context for a call of etcd: it ends with the caller's, after the time, and when etcd goes away.
func (r *Reach) Bound(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	bounded, cancel := context.WithTimeout(ctx, most)
	return bounded, r.hook(cancel)
}

// Until is Bound for what may take any time.
func (r *Reach) Until(ctx context.Context) (context.Context, context.CancelFunc) {
	until, cancel := context.WithCancel(ctx)
	return until, r.hook(cancel)
}

func (r *Reach) hook(cancel context.CancelFunc) context.CancelFunc {
	r.mu.Lock()
	here := r.here
	r.mu.Unlock()
	unhook := context.AfterFunc(here, cancel)
	return func() { unhook(); cancel() }
}

// Heard takes note of what a call has come to, and gives it: of one that etcd has not answered while it is away, that
// it is. Not every error says that etcd is out of reach; any other is an answer.
func (r *Reach) Heard(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kv.ErrClosed):
		return err
	case !errors.Is(err, kv.ErrUnavailable):
		if !r.answered.Load() {
			r.answered.Store(true)
		}
		return err
	}
	if away := r.Away(); away != nil {
		return away
	}
	return err
}

// Follow keeps true whether etcd is away, until ctx ends. It calls ask where nobody else has had an answer; that gives
// an error like those of calls.
func (r *Reach) Follow(ctx context.Context, ask func(context.Context) error) {
	every := time.NewTicker(lookEvery)
	defer every.Stop()
	quiet, looked := time.Duration(0), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		// What this process has slept through tells nothing of etcd.
		now := time.Now()
		quiet += min(now.Sub(looked), lookEvery+askTime)
		looked = now
		var err error
		if !r.answered.Load() && quiet >= 2*lookEvery {
			asking, cancel := context.WithTimeout(ctx, askTime)
			err = ask(asking)
			cancel()
			if ctx.Err() != nil {
				return
			}
			_ = r.Heard(err)
		}
		switch {
		case r.answered.Swap(false):
			quiet = 0
			r.back()
		case err != nil && quiet >= r.patience:
			r.gone(err)
		}
	}
}

// gone has all who wait leave with the error, and all who come.
func (r *Reach) gone(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = faults.Away(fmt.Sprintf("%v; it has been so for more than %v, and requests are refused at once until "+
		"etcd serves again", err, r.patience))
	r.end()
}

func (r *Reach) back() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away != nil {
		r.away = nil
		r.here, r.end = context.WithCancel(context.Background())
	}
}
