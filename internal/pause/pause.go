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
	mu      sync.Mutex
	refused tally
	// away are the refusals that are no fault of who asks. They are paid for apart: who went on asking while the data
	// were away owes nothing once they are back.
	away   tally
	waits  int
	counts Counts
}

// tally is when refusals would be paid for.
type tally struct {
	of  *bounded.Map[string, time.Time] // by network
	all time.Time
}

// Counts are the answers to refused callers since the start, by how they went: at once, after a wait, or at once with
// the connection closed behind them, since too many waited.
type Counts struct{ AtOnce, Waited, Closed uint64 }

// New makes them.
func New() *Pauses {
	return &Pauses{refused: tally{of: bounded.New[string, time.Time](clients, nil)},
		away: tally{of: bounded.New[string, time.Time](clients, nil)}}
}

// Counts gives what was counted.
func (p *Pauses) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

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
	of := &p.refused
	if code == errs.Unavailable {
		of = &p.away
	}
	wait, ok := p.begin(of, network, time.Now())
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
func (p *Pauses) begin(of *tally, network string, now time.Time) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, _ := of.of.Get(network)
	own = later(own, now, each)
	of.of.Put(network, own, 1)
	of.all = later(of.all, now, ofAll)
	for _, paid := range []time.Time{own, of.all} {
		wait = max(wait, paid.Sub(now)-ahead)
	}
	if wait <= 0 {
		p.counts.AtOnce++
		return 0, true
	}
	if p.waits >= waiting {
		p.counts.Closed++
		return 0, false
	}
	p.counts.Waited++
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
