// Package outage logs what goes wrong again and again: a kind of failure at once, then once a minute with a count of
// those between, and its end. An outage under load is a few lines, and so is one that comes and goes.
package outage

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how often a failure of one kind is logged while it lasts.
const Every = time.Minute

// maxKinds bounds the kinds that are told apart. All beyond count as one.
const maxKinds = 64

// Log logs failures by their kinds. It is safe for use by many goroutines. Make it with New.
type Log struct {
	log  *slog.Logger
	open atomic.Int64 // how many kinds fail
	mu   sync.Mutex
	of   map[string]*state
}

type state struct {
	since    time.Time // of the first failure of those that go on; zero where none does
	last     time.Time // of the last of them
	told     bool      // one of them was logged
	logged   time.Time // the last time, of these or earlier ones
	unlogged int       // failures after that
}

// New makes a Log that writes to log.
func New(log *slog.Logger) *Log { return &Log{log: log, of: make(map[string]*state)} }

// kind is the state of a kind. The lock is held.
func (l *Log) kind(name string) *state {
	s := l.of[name]
	if s == nil && len(l.of) >= maxKinds {
		name = ""
		s = l.of[name]
	}
	if s == nil {
		s = new(state)
		l.of[name] = s
	}
	return s
}

// Due reports whether a failure of the kind would be logged now.
func (l *Log) Due(kind string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.kind(kind).logged) >= Every
}

// Failed notes a failure of the kind, and logs it where none was logged within the last minute.
func (l *Log) Failed(ctx context.Context, level slog.Level, kind, msg string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, s := time.Now(), l.kind(kind)
	if s.last = now; s.since.IsZero() {
		s.since = now
		l.open.Add(1)
	}
	if now.Sub(s.logged) < Every {
		s.unlogged++
		return
	}
	if s.unlogged > 0 {
		args = append(args, "unlogged", s.unlogged)
	}
	l.log.Log(ctx, level, msg, args...)
	s.logged, s.unlogged, s.told = now, 0, true
}

// Open reports whether some kind fails. It costs next to nothing.
func (l *Log) Open() bool { return l.open.Load() > 0 }

// Ended logs the end of a kind of failure, with the time that it lasted, where it was logged.
func (l *Log) Ended(kind, msg string, args ...any) {
	if ended, lasted := l.Served(time.Now(), kind); len(ended) > 0 {
		l.log.Info(msg, append(args, "for", Words(lasted))...)
	}
}

// Served notes that what was begun at a time went well. It ends those of the kinds that have not failed since then, and
// gives those of them that were logged, and how long they lasted, from the first failure on.
func (l *Log) Served(begun time.Time, kinds ...string) (ended []string, lasted time.Duration) {
	if !l.Open() {
		return nil, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, kind := range kinds {
		s := l.of[kind]
		if s == nil || s.since.IsZero() || s.last.After(begun) {
			continue
		}
		if s.told {
			ended = append(ended, kind)
			lasted = max(lasted, time.Since(s.since))
		}
		s.since, s.told = time.Time{}, false
		l.open.Add(-1)
	}
	return ended, lasted
}

// Words is how long an outage lasted, as precisely as it is known.
func Words(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than 1s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
