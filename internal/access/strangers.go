package access

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"strongroom/internal/audit"
	"strongroom/internal/peer"
)

// The bounds of what strangers can have written: each address is written so often a minute for each reason, all of them
// together so often a second and at once, and the rest is counted in a line a minute for each of so many addresses and
// reasons. That is six lines a second at most, whatever is sent.
const (
	strangersEach   = 10
	strangersPause  = time.Minute
	strangersSecond = 2
	strangersAtOnce = 100
	maxStrangers    = 256
)

// strangers puts on record that somebody was refused who has not shown who they are: with no token or a bad one, a
// wrong password, too many tries. Anybody can cause that as often as they like, so that it must not fill the disk. Run
// it while it is used. It is safe for use by many goroutines.
type strangers struct {
	to     audit.Recorder
	all    *rate.Limiter
	mu     sync.Mutex
	turned map[stranger]*turned
}

// stranger is whom refusals are counted for.
type stranger struct{ network, user, action, code string }

// turned is how often somebody was refused within the pause.
type turned struct {
	written, repeated int
	first             audit.Entry
}

// newStrangers makes one that writes to a log.
func newStrangers(to audit.Recorder) *strangers {
	return &strangers{to: to, all: rate.NewLimiter(strangersSecond, strangersAtOnce),
		turned: make(map[stranger]*turned)}
}

// refused takes note of a refusal. It is written at once, or counted. The error is the log's.
func (s *strangers) refused(ctx context.Context, e audit.Entry) error {
	e.Outcome = audit.Denied
	if !s.counts(e) {
		return nil
	}
	return s.to.Record(ctx, e)
}

// counts reports whether the refusal is to be written.
func (s *strangers) counts(e audit.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := stranger{peer.Network(e.Address), e.UserID, e.Action, e.Code}
	t, ok := s.turned[of]
	if !ok && len(s.turned) >= maxStrangers {
		of.network, of.user = "", "" // of all addresses for which there is no room
		e.Address, e.UserID, e.User, e.AuthorizationID = "", "", "", ""
		t, ok = s.turned[of]
	}
	if !ok {
		t = &turned{first: audit.Entry{Address: e.Address, Action: e.Action, Outcome: audit.Denied, Code: e.Code,
			UserID: e.UserID, User: e.User, AuthorizationID: e.AuthorizationID}}
		if e.UserID == "" {
			t.first.User = "" // a name that somebody gave
		}
		s.turned[of] = t
	}
	if of.network == "" || t.written >= strangersEach || !s.all.Allow() {
		t.repeated++
		return false
	}
	t.written++
	return true
}

// run writes what was counted, once a pause, until ctx ends, and then once more.
func (s *strangers) run(ctx context.Context) {
	tick := time.NewTicker(strangersPause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush(ctx)
		case <-ctx.Done():
			s.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

func (s *strangers) flush(ctx context.Context) {
	s.mu.Lock()
	counted := s.turned
	s.turned = make(map[stranger]*turned)
	s.mu.Unlock()
	for _, t := range counted {
		if t.repeated > 0 {
			t.first.Repeated = t.repeated
			_ = s.to.Record(ctx, t.first) // the log itself says that it cannot write
		}
	}
}
