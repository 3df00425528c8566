// Package auditlog is the audit log: it records entries, and answers queries. What a line is stands in package chain,
// where the lines go in package sink, and where those of changes are in package lines.
package auditlog

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/lines"
	"strongroom/internal/audit/sink"
	"strongroom/internal/errs"
)

// lockTime is how long an entry waits for its turn.
const lockTime = sink.WaitTime

// Config is what a Log is made of.
type Config struct {
	// Sinks are where the lines go: file:/path (or a path with a slash in it), stdout, syslog (the local daemon),
	// syslog:udp://host:514, syslog:tcp://host:514 or syslog:unix:///path. At least one.
	Sinks []string
	// ChainKey is the secret that the lines are chained with, at least 32 bytes. It has no other use.
	ChainKey []byte
	Marks    Marks        // where it is kept how far the log goes; nil: nowhere, and what is cut off does not show
	Server   string       // the server's name among several, on each line; "" where it is the only one
	Logger   *slog.Logger // nil: none
	Stdout   io.Writer    // what the sink stdout is; nil: os.Stdout
}

// Log writes entries to its sinks, all of them the same lines. It is a Recorder.
type Log struct {
	logger *slog.Logger
	sinks  *sink.Set
	server string

	lock     chan struct{} // holds one while somebody has the lock
	chain    *chain.Chain
	buf      []byte
	closed   bool
	marks    Marks
	chainKey []byte
	marked   uint64 // the last line that marks knows of; used by one at a time
	lost     atomic.Pointer[string]
	doubted  []audit.Entry // acts that were refused, while a sink that hangs may yet write that they were allowed
	seq      atomic.Uint64 // of the last line; changed under the lock
	written  atomic.Uint64
	refused  atomic.Uint64
	probed   atomic.Bool // somebody is trying the sinks

	path      string // of the file that queries read; "" where there is none
	book      *lines.Book
	asked     atomic.Int64 // when the book was, in seconds since 1970
	behind    int          // bytes written since it was last made to follow
	following atomic.Bool
	followers sync.WaitGroup
	scanLimit int64 // bytes that one query may read
}

// Open opens every sink and writes the line that the server started. The chain goes on where the file's last line, or
// that of the file put aside last, left it. Close ends the log.
func Open(cfg Config) (*Log, error) {
	l := &Log{logger: cfg.Logger, lock: make(chan struct{}, 1), book: lines.NewBook(signOf),
		scanLimit: defaultScanLimit, marks: cfg.Marks, chainKey: slices.Clone(cfg.ChainKey), server: cfg.Server}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if l.chain, err = chain.New(cfg.ChainKey); err != nil {
		return nil, err
	}
	if len(cfg.Sinks) == 0 {
		return nil, errors.New("the audit log has no sink: name at least one of file:/path, stdout, syslog")
	}
	if l.sinks, err = sink.Open(cfg.Sinks, cfg.Stdout, l.logger); err != nil {
		return nil, err
	}
	if err := l.start(); err != nil {
		l.sinks.Close()
		return nil, err
	}
	return l, nil
}

// start goes on where the files end.
func (l *Log) start() error {
	start := audit.Record{Entry: audit.Entry{Action: audit.ActionOpen, Outcome: audit.Allowed,
		Reserve: audit.ReserveAll}}
	for i, f := range l.sinks.Files() {
		if i == 0 {
			l.path = f.Path
		}
		start.Torn = max(start.Torn, f.Tail.Torn)
		t := f.Tail
		if !t.Found {
			t = chain.AsideTail(f.Path)
		}
		if t.Found && t.Line.Seq >= l.seq.Load() {
			l.seq.Store(t.Line.Seq)
			l.chain.Last = t.Line.Hash
		}
		if t.Found && !l.genuine(t) {
			l.logger.Warn("the last line of the audit log does not fit the chain key: it was altered, or written "+
				"with another key; see influxd audit verify", "path", f.Path)
		}
	}
	if err := l.compare(context.Background()); err != nil {
		return err
	}
	return l.begin(start)
}

// genuine reports whether the tail's last line follows from the one before, as far as that can be told.
func (l *Log) genuine(t chain.Tail) bool {
	if !t.BeforeFound {
		return true
	}
	var h chain.Sum
	l.chain.Next(&h, &t.Before, t.Line.Body)
	return h == t.Line.Hash
}

// begin writes the line that a run of the server or a file begins with. Every file must take it: what cannot be written
// should show at the start.
func (l *Log) begin(r audit.Record) error {
	if l.seq.Load() > 0 {
		r.Previous = l.chain.Last.String()
	}
	if err := l.append(&r); err != nil {
		return err
	}
	return l.sinks.Failing()
}

// Record puts the entry on record: it returns after at least one sink has the line, or with errs.Unavailable when none
// has. The end of ctx does not stop it, since acts that failed for lack of time go on record too.
func (l *Log) Record(_ context.Context, e audit.Entry) error {
	if err := l.acquire(); err != nil {
		l.refused.Add(1)
		return err
	}
	defer l.release()
	if l.closed {
		return unavailable(errors.New("the audit log is closed"))
	}
	if len(e.Keys) <= chain.MaxKeys/chain.MaxKey || audit.Looks(e.Action) {
		return l.append(&audit.Record{Entry: e})
	}
	return l.appendParts(e)
}

// appendParts writes a change, in as many lines as its keys take. The lock is held.
func (l *Log) appendParts(e audit.Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	for part, rest := 1, e.Keys; len(rest) > 0; part++ {
		n := chain.Fitting(rest)
		r := audit.Record{Entry: e}
		r.Keys, rest = rest[:n], rest[n:]
		if part > 1 {
			r.Part = part
		}
		if err := l.append(&r); err != nil {
			if part > 1 && e.Outcome == audit.Allowed { // the lines before it are there
				e.Outcome, e.Code = audit.Failed, string(errs.Unavailable)
				if len(l.doubted) < maxDoubted {
					l.doubted = append(l.doubted, e)
				}
			}
			return err
		}
	}
	return nil
}

// append makes the line, sends it to every sink and, where one took it, moves the chain on. The lock is held.
func (l *Log) append(r *audit.Record) error {
	r.Seq, r.Server = l.seq.Load()+1, l.server
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	l.buf = chain.AppendBody(l.buf[:0], r)
	var h chain.Sum
	l.chain.Next(&h, &l.chain.Last, l.buf)
	l.buf = chain.AppendEnd(l.buf, &h)

	took, unsure, failed := l.sinks.Send(l.buf, r.Reserve)
	if unsure {
		l.buf = nil // a sink still reads it
	}
	if took == 0 && !unsure {
		l.refused.Add(1)
		return unavailable(failed)
	}
	l.seq.Store(r.Seq)
	l.chain.Last = h
	if took == 0 {
		// A sink has the line and has not said whether it took it. The number is used, and the act is refused.
		if len(l.doubted) < maxDoubted && r.Outcome == audit.Allowed {
			l.doubted = append(l.doubted, r.Entry)
		}
		l.refused.Add(1)
		return unavailable(failed)
	}
	l.written.Add(1)
	l.follow(len(l.buf))
	l.settle()
	return nil
}

func unavailable(cause error) error {
	return errs.Wrap(cause, errs.Unavailable, "the audit log cannot be written; see the server's log")
}

// Reopen turns to the files that have the sinks' names now: call it after they have been renamed. The first line of a
// new file names the hash of the old one's last. A file that cannot be opened leaves its sink with the old one.
func (l *Log) Reopen() error {
	if err := l.acquire(); err != nil {
		return err
	}
	defer l.release()
	if l.closed {
		return nil
	}
	changed, torn, failed := l.sinks.Reopen()
	if changed {
		failed = errors.Join(failed, l.begin(audit.Record{Torn: torn, Entry: audit.Entry{Action: audit.ActionReopen,
			Outcome: audit.Allowed, Reserve: audit.ReserveAll}}))
	}
	return failed
}

// Close writes the line that the server ended in order and closes the sinks. Entries after it are refused.
func (l *Log) Close() error {
	if err := l.acquire(); err != nil {
		return err
	}
	if l.closed {
		l.release()
		return nil
	}
	defer l.followers.Wait()
	l.closed = true
	err := l.append(&audit.Record{Entry: audit.Entry{Action: audit.ActionClose, Outcome: audit.Allowed,
		Reserve: audit.ReserveAll}})
	l.release()
	if err := l.mark(context.Background()); err != nil {
		l.logger.Warn("how far the audit log goes could not be kept with the data", "error", err)
	}
	if err := l.acquire(); err != nil {
		return err
	}
	defer l.release()
	return errors.Join(err, l.sinks.Close())
}

func (l *Log) acquire() error {
	select {
	case l.lock <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(lockTime)
	defer timer.Stop()
	select {
	case l.lock <- struct{}{}:
		return nil
	case <-timer.C:
		return unavailable(errors.New("a sink hangs"))
	}
}

func (l *Log) release() { <-l.lock }

// maxDoubted bounds what is remembered of acts whose record may be wrong.
const maxDoubted = 100

// settle puts on record that acts did not take place whose lines a sink may have written long after they were refused.
// The lock is held.
func (l *Log) settle() {
	doubted := l.doubted
	l.doubted = nil
	for i, e := range doubted {
		e.Time, e.Outcome, e.Code = time.Time{}, audit.Failed, string(errs.Unavailable)
		if l.appendParts(e) != nil {
			l.doubted = doubted[i:]
			return
		}
	}
}
