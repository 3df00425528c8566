package conn

import (
	"log/slog"
	"sync"
	"time"
)

// every is how often a failure of one kind is logged while it lasts.
const every = time.Minute

// reports logs what is wrong with Vault: a kind of failure at once, then once a minute with a count of those between,
// and the first success after it. An outage under load is a few lines, and so is one that comes and goes.
type reports struct {
	log *slog.Logger
	mu  sync.Mutex
	of  [Kinds]report
}

type report struct {
	open     bool      // logged, and no success since
	since    time.Time // of the first failure while open
	logged   time.Time // the last time
	unlogged int       // failures after that
}

func newReports(log *slog.Logger) *reports { return &reports{log: log} }

// due reports whether a failure of the kind would be logged now.
func (r *reports) due(k Kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.of[k].logged) >= every
}

func (r *reports) failed(f failure, req Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, of := time.Now(), &r.of[f.kind]
	if now.Sub(of.logged) < every {
		of.unlogged++
		return
	}
	args := []any{"state", told[f.kind].Msg, "request", req.Method + " " + req.Path, "detail", f.detail}
	if of.unlogged > 0 {
		args = append(args, "unlogged", of.unlogged)
	}
	r.log.Error("Vault does not serve", args...)
	if !of.open {
		of.open, of.since = true, now
	}
	of.logged, of.unlogged = now, 0
}

// recovered ends outages. A refusal for one path says nothing about another, so of those no end is told.
func (r *reports) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.of {
		of := &r.of[k]
		if !of.open || Kind(k) == Denied || Kind(k) == Unmounted || Kind(k) == Strange {
			continue
		}
		r.log.Info("Vault serves again", "was", told[k].Msg, "for", time.Since(of.since).Round(time.Millisecond))
		of.open = false
	}
}
