// Package breaker keeps callers from waiting for a server that is not there. After a failure it asks the server itself,
// by a probe of its own; when that fails too it opens, and callers get the reason at once. Probes go on in the background
// until one succeeds, so no caller is sent ahead to find out, and service resumes within a probe's interval.
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
	// Interval is the pause between probes while it is open, and Timeout the longest a probe may take.
	Interval, Timeout time.Duration
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
	return b
}

// Reason is why the breaker is open, or nil while it is closed.
func (b *Breaker) Reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// Opened is how often it has opened.
func (b *Breaker) Opened() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

// Failed reports that a call failed as it does when the server is not there.
func (b *Breaker) Failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probing || b.ended {
		return
	}
	b.probing = true
	b.probes.Go(b.probe)
}

func (b *Breaker) probe() {
	for {
		ctx, cancel := context.WithTimeout(b.ctx, b.conf.Timeout)
		err := b.conf.Probe(ctx)
		cancel()
		if b.ctx.Err() != nil {
			return
		}
		if b.saw(err) {
			return
		}
		pause := b.conf.Interval/2 + rand.N(b.conf.Interval/2) // jitter: many servers wait for the same Vault
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// saw takes a probe's outcome, and reports whether the server serves.
func (b *Breaker) saw(err error) bool {
	b.mu.Lock()
	was := b.reason
	b.reason, b.probing = err, err != nil
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
