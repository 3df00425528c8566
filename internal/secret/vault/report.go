package vault

import (
	"log/slog"
	"sync"
	"time"
)

// every is how often a failure of one kind is logged while it lasts.
const every = time.Minute

// reports logs what is wrong with Vault: a kind of failure at once, then once a minute with a count, and the first
// success after it. An outage under load is a few lines.
type reports struct {
	log *slog.Logger
	mu  sync.Mutex
	// by kind, of which there are few; a zero time says that nothing is wrong.
	since, logged [kinds]time.Time
	unlogged      [kinds]int
	anything      bool
}

func newReports(log *slog.Logger) *reports { return &reports{log: log} }

func (r *reports) failed(f failure, req request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.since[f.kind].IsZero() {
		r.since[f.kind] = now
	}
	r.anything = true
	if !r.logged[f.kind].IsZero() && now.Sub(r.logged[f.kind]) < every {
		r.unlogged[f.kind]++
		return
	}
	args := []any{"state", told[f.kind].Msg, "request", req.method + " " + req.path}
	if f.detail != "" {
		args = append(args, "detail", f.detail)
	}
	if f.kind == denied {
		args = append(args, "needs", req.needs)
	}
	if n := r.unlogged[f.kind]; n > 0 {
		args = append(args, "unlogged", n)
	}
	r.log.Error("Vault does not serve", args...)
	r.logged[f.kind], r.unlogged[f.kind] = now, 0
}

// recovered ends outages. A refusal for one path says nothing about another, so those end by the clock alone.
func (r *reports) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.anything {
		return
	}
	r.anything = false
	for k := range kinds {
		if k == denied || k == unmounted || k == strange || r.since[k].IsZero() {
			continue
		}
		r.log.Info("Vault serves again", "was", told[k].Msg, "for", time.Since(r.since[k]).Round(time.Millisecond), "unlogged", r.unlogged[k])
		r.since[k], r.logged[k], r.unlogged[k] = time.Time{}, time.Time{}, 0
	}
}
