// Package breaker keeps callers from waiting for a server that is not there. After a failure it asks the server itself,
// by a probe of its own; when that fails too it opens, and callers get the reason at once. Probes go on in the
// background until one succeeds, so no caller is sent ahead to find out, and service resumes within a probe's interval.
package breaker

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// Config is what a breaker works with.
type Config struct {
	// Probe asks whether the server serves: nil, or the reason, which callers are given.
	Probe func(ctx context.Context) error
	// Interval is the longest time between the beginnings of two probes, and Timeout the longest a probe may take,
	// which may be more: a probe that hangs holds up none that would succeed.
	Interval, Timeout time.Duration
	// Hopeless, where set, tells of which reasons for opening the calls under way will not be answered either.
	Hopeless func(reason error) bool
	// Opened and Closed, where set, are told of each change.
	Opened func(reason error)
	Closed func(after time.Duration)
}

// Breaker is closed, or open for a reason. The zero value is not usable.
type Breaker struct {
	conf   Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	probes sync.WaitGroup

	mu      sync.Mutex
	live    context.Context // see Live
	die     context.CancelFunc
	good    time.Time // of the last probe that succeeded
	probing bool
	reason  error // nil while closed
	since   time.Time
	opened  int
	ended   bool
}

// New makes a closed breaker. Close ends what it has running.
func New(c Config) *Breaker {
	b := &Breaker{conf: c}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.live, b.die = context.WithCancel(context.Background())
	return b
}

// Reason is why the breaker is open, or nil while it is closed.
func (b *Breaker) Reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// Live is a context that ends when the breaker opens for a reason for which what is under way is hopeless. After the
// breaker has closed it is another.
func (b *Breaker) Live() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live
}

// Opened is how often it has opened.
func (b *Breaker) Opened() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

// Failed reports that a call failed as it does when the server is not there. Just after a probe has succeeded that is
// not looked into: a server that fails some calls is not asked at each.
func (b *Breaker) Failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing || b.ended || !b.good.IsZero() && time.Since(b.good) < b.conf.Interval {
		return
	}
	b.probing = true
	b.probes.Go(b.probe)
}

// probe asks until the server serves. Each probe begins without waiting for the end of the one before.
func (b *Breaker) probe() {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	outcomes := make(chan error, 16) // what there is no room for, the next probe finds, too
	for {
		b.probes.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, b.conf.Timeout)
			defer cancel()
			select {
			case outcomes <- b.conf.Probe(ctx):
			default:
			}
		})
		// jitter: many servers wait for the same Vault
		next := time.After(b.conf.Interval/2 + rand.N(b.conf.Interval/2))
		for waiting := true; waiting; {
			select {
			case <-b.ctx.Done():
				return
			case err := <-outcomes:
				if b.saw(err) {
					return
				}
			case <-next:
				waiting = false
			}
		}
	}
}

// saw takes a probe's outcome, and reports whether the server serves.
func (b *Breaker) saw(err error) bool {
	b.mu.Lock()
	was := b.reason
	b.reason, b.probing = err, err != nil
	switch {
	case err == nil:
		b.good = time.Now()
		if b.live.Err() != nil {
			b.live, b.die = context.WithCancel(context.Background())
		}
	case b.conf.Hopeless != nil && b.conf.Hopeless(err):
		b.die()
	}
	if was == nil && err != nil {
		b.since = time.Now()
		b.opened++
	}
	since := b.since
	b.mu.Unlock()
	switch {
	case was == nil && err != nil && b.conf.Opened != nil:
		b.conf.Opened(err)
	case was != nil && err == nil && b.conf.Closed != nil:
		b.conf.Closed(time.Since(since))
	}
	return err == nil
}

// Close ends the probes and waits for them.
func (b *Breaker) Close() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.cancel()
	b.probes.Wait()
}
