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
	open atomic.Int64 // how many kinds are open
	mu   sync.Mutex
	of   map[string]*state
}

type state struct {
	open     bool      // logged, and its end has not been told
	since    time.Time // of the first failure while open
	logged   time.Time // the last time
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
	if now.Sub(s.logged) < Every {
		s.unlogged++
		return
	}
	if s.unlogged > 0 {
		args = append(args, "unlogged", s.unlogged)
	}
	l.log.Log(ctx, level, msg, args...)
	if !s.open {
		s.open, s.since = true, now
		l.open.Add(1)
	}
	s.logged, s.unlogged = now, 0
}

// Open reports whether the end of some kind has not been told. It costs next to nothing.
func (l *Log) Open() bool { return l.open.Load() > 0 }

// Ended logs the end of a kind of failure, with the time that it lasted, where its beginning was logged.
func (l *Log) Ended(kind, msg string, args ...any) {
	if !l.Open() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.of[kind]
	if s == nil || !s.open {
		return
	}
	l.log.Info(msg, append(args, "for", time.Since(s.since).Round(time.Millisecond))...)
	s.open = false
	l.open.Add(-1)
}
