// Package pause has callers who are refused again and again wait for their answers: one who asks again at once,
// whatever Retry-After says, would else take the processors from all others, with requests that come to nothing.
package pause

import (
	"context"
	"sync"
	"time"

	"strongroom/internal/bounded"
	"strongroom/internal/errs"
)

// One client may be refused so often, and all together, before they wait; a second's worth of refusals is answered
// twice at once. Nobody waits longer than the longest, so that connections that wait make up the rest.
const (
	each    = time.Second / 500
	ofAll   = time.Second / 2000
	ahead   = 2 * time.Second
	longest = time.Second
	// clients are those that are told apart, and waiting how many answers wait at a time: each keeps a goroutine, which
	// one of a connection is there for anyway, and one of a stream of HTTP/2 is not.
	clients = 16384
	waiting = 1024
)

// Pauses are those of one server. Make them with New; nil ones have nobody wait.
type Pauses struct {
	mu    sync.Mutex
	of    *bounded.Map[string, time.Time] // by network: when its refusals would be paid for
	all   time.Time
	waits int
}

// New makes them.
func New() *Pauses { return &Pauses{of: bounded.New[string, time.Time](clients, nil)} }

// Refused returns when the answer that refuses something with the code may go to the client of the network: at once,
// nearly always. Close says that the connection should be closed behind it, since too many wait. What a client of good
// faith is told again and again, that something is not there or has changed, is not counted.
func (p *Pauses) Refused(ctx context.Context, network string, code errs.Code) (closes bool) {
	if p == nil {
		return false
	}
	switch code {
	case errs.NotFound, errs.Conflict, errs.PreconditionFailed, errs.MethodNotAllowed, errs.Internal:
		return false
	}
	wait, ok := p.begin(network, time.Now())
	if wait <= 0 {
		return !ok
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits--
	return false
}

// begin counts a refusal, and gives how long it waits; ok is false where it should, and too many do.
func (p *Pauses) begin(network string, now time.Time) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, _ := p.of.Get(network)
	own = later(own, now, each)
	p.of.Put(network, own, 1)
	p.all = later(p.all, now, ofAll)
	for _, paid := range []time.Time{own, p.all} {
		wait = max(wait, paid.Sub(now)-ahead)
	}
	if wait <= 0 {
		return 0, true
	}
	if p.waits >= waiting {
		return 0, false
	}
	p.waits++
	return wait, true
}

// later is when all is paid for with one more.
func later(paid, now time.Time, one time.Duration) time.Time {
	if paid.Before(now) {
		paid = now
	}
	if paid = paid.Add(one); paid.After(now.Add(ahead + longest)) {
		paid = now.Add(ahead + longest)
	}
	return paid
}
