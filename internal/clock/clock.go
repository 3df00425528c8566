// Package clock looks at the machine's clock with mistrust, for those who remove for good what is old: a start under a
// clock that is far ahead must not remove what could still be brought back.
package clock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// Record is where the time is kept that was last believed. waited has for how long servers have run under a clock that
// is not yet, and when that was by this clock: a server that never runs for a day at a time comes to believe it, too.
const (
	Record = "core/clock"
	waited = Record + "/waited"
)

// The bounds: a start so long after the last time that was believed is suspicious, and the clock is then believed when
// servers have run for so long. A clock that moves by more than a step while the server runs is told.
const (
	suspicious = 24 * time.Hour
	waitFor    = 24 * time.Hour
	step       = time.Minute
	saveEvery  = time.Hour
	// waitedEvery is more often: it is lost to the wait when a server is killed.
	waitedEvery = 10 * time.Minute
)

// Watch tells when the clock may be believed. Make it with New and run it.
type Watch struct {
	kv  kv.Store
	log *slog.Logger
	now func() time.Time // the wall clock alone
	// since is how long the process has run, by a clock that nobody sets.
	since func() time.Duration

	believe sync.Once
	trusted chan struct{} // closed when the clock is believed
}

// New makes it over the data, in which it keeps the time.
func New(store kv.Store, log *slog.Logger) *Watch {
	begun := time.Now()
	return &Watch{
		kv: kv.Settled(store), log: log, trusted: make(chan struct{}),
		now:   func() time.Time { return time.Now().Round(0) },
		since: func() time.Duration { return time.Since(begun) },
	}
}

// Wait returns when the clock may be believed, or ctx ends.
func (w *Watch) Wait(ctx context.Context) {
	select {
	case <-w.trusted:
	case <-ctx.Done():
	}
}

// Run watches the clock until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var s state
	for {
		if err := w.look(ctx, &s); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "keeping the time failed and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// state is what Run has seen.
type state struct {
	begun, wall    time.Time     // by the wall clock: the first look and the latest
	ran, saved     time.Duration // by the other: at the latest look, and when the time was last kept
	suspect, known bool
	before         time.Duration // how long servers have run under this clock before
}

func (w *Watch) look(ctx context.Context, s *state) error {
	wall, ran := w.now(), w.since()
	if s.known {
		if jump := wall.Sub(s.wall) - (ran - s.ran); jump.Abs() > step {
			w.log.WarnContext(ctx, "the clock was set", "by", jump.Round(time.Second), "now", wall.UTC())
		}
	} else {
		last, err := w.last(ctx)
		damaged := errors.Is(err, errDamaged)
		if err != nil && !damaged {
			return err
		}
		s.known, s.begun = true, wall
		if damaged {
			s.suspect = true
			w.log.WarnContext(ctx, "when this server last ran is not known, since the record of it is damaged. "+
				"Nothing that is old is removed until it has run for a day; see that the clock is right",
				"now", wall.UTC(), "error", err)
		} else if s.suspect = !last.IsZero() && wall.Sub(last) > suspicious; s.suspect {
			w.log.WarnContext(ctx, "the clock is far ahead of when this server last ran: was it stopped for so long? "+
				"Nothing that is old is removed until it has run for a day; if the clock is wrong, set it right and "+
				"start again", "last", last.UTC(), "now", wall.UTC())
		}
		if s.suspect {
			if s.before, err = w.waitedBefore(ctx, wall); err != nil {
				s.known = false
				return err
			}
		}
	}
	s.wall, s.ran = wall, ran
	all := s.before + ran
	if s.suspect && all < waitFor && wall.Sub(s.begun) > -suspicious { // or it was set back by now
		if s.saved != 0 && ran-s.saved < waitedEvery {
			return nil
		}
		s.saved = max(ran, 1)
		_, err := w.kv.Txn(ctx, nil, []kv.Op{kv.Put(waited, fmt.Appendf(nil, "%d %d", wall.Unix(), all/time.Second))})
		return err
	}
	if s.suspect {
		s.suspect, s.saved = false, 0
	}
	w.believe.Do(func() { close(w.trusted) })
	if s.saved != 0 && ran-s.saved < saveEvery {
		return nil
	}
	s.saved = max(ran, 1) // where it fails, the disk does, and others tell it
	_, err := w.kv.Txn(ctx, nil, []kv.Op{kv.Put(Record, []byte(wall.UTC().Format(time.RFC3339))), kv.Delete(waited)})
	return err
}

// waitedBefore is for how long servers have run under the clock by which it is now wall. One that was set meanwhile, or
// by which nothing has run for as long as is suspicious, is another.
func (w *Watch) waitedBefore(ctx context.Context, wall time.Time) (time.Duration, error) {
	r, err := w.kv.Get(ctx, waited)
	if errors.Is(err, kv.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var at, seconds int64
	if _, err := fmt.Sscanf(string(r.Value), "%d %d", &at, &seconds); err != nil || seconds < 0 ||
		seconds > int64(waitFor/time.Second) {
		return 0, nil // damaged: all of it is waited for anew
	}
	if since := wall.Sub(time.Unix(at, 0)); since < 0 || since > suspicious {
		return 0, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

var errDamaged = fmt.Errorf("the record %s is no time", Record)

// last is the time that was last believed, or zero.
func (w *Watch) last(ctx context.Context) (time.Time, error) {
	r, err := w.kv.Get(ctx, Record)
	if errors.Is(err, kv.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, string(r.Value))
	if err != nil {
		return time.Time{}, errDamaged
	}
	return at, nil
}
