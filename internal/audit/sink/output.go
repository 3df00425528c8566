package sink

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"strongroom/internal/audit"
)

// The pauses of a sink that makes those wait who try it. Each is twice as long as the one before. Where no other sink
// takes lines, it is tried once a firstPause. One that fails at once is tried with every line.
const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// repeatAfter is how often the log mentions a sink that keeps failing.
const repeatAfter = time.Minute

// slowFailure is from when on a failure counts as one that others must not wait for.
const slowFailure = 100 * time.Millisecond

// state is what an output has of the line that is being written.
type state int

const (
	nothing state = iota
	handed        // its goroutine has it, or still the one of an act before
	taken
)

// output is a sink with its name and its health. Where it is not the only one, or may hang, a goroutine of its own
// writes, so that nobody waits for it longer than they want.
type output struct {
	sink
	name     string
	failures atomic.Uint64
	failing  atomic.Bool

	jobs    chan func() error // nil: whoever has the lock writes
	results chan error

	// Below: guarded by the log's lock.
	has    state
	fresh  bool      // what was handed is the line that is being written, and not one before
	err    error     // why it did not take the last line
	tried  time.Time // when it was given a line last
	slow   bool      // its last failure took long
	pause  time.Duration
	next   time.Time // until when it is left out, where it is slow
	lost   uint64    // lines since it began to fail
	warned time.Time
	looked time.Time // when it was told that the file has gone
}

var errHangs = errors.New("it does not answer")

// begin has a goroutine of the output's own do the writing.
func (o *output) begin() {
	o.jobs, o.results = make(chan func() error), make(chan error, 1)
	go func() {
		for job := range o.jobs {
			o.results <- Safely(job)
		}
	}()
}

// Safely makes an error of a panic: what is wrong with one sink, or beside the log, must not end the server.
func Safely(job func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the sink panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return job()
}

// give hands over the line, unless the one before is not written yet.
func (o *output) give(line []byte, r audit.Reserve, now time.Time, logger *slog.Logger) {
	if o.has == handed {
		return
	}
	o.tried = now
	if o.jobs == nil {
		o.result(o.write(line, r), logger)
		return
	}
	o.has, o.fresh = handed, true
	o.jobs <- func() error { return o.write(line, r) } // it waits for jobs: it has none
}

// collect takes note of what became of a line that was not waited for.
func (o *output) collect(logger *slog.Logger) {
	if o.has != handed {
		return
	}
	select {
	case err := <-o.results:
		if err == nil && o.lost > 0 {
			o.lost-- // it was counted as missed
		}
		o.result(err, logger)
		o.has = nothing // of the line that comes now
	default:
	}
}

// await waits for the goroutine until then.
func (o *output) await(until time.Time, logger *slog.Logger) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case err := <-o.results:
		o.result(err, logger)
	case <-timer.C:
		o.fail(errHangs)
	}
}

// result keeps account of a line that was written or refused.
func (o *output) result(err error, logger *slog.Logger) {
	if err != nil {
		o.has = nothing
		o.fail(err)
		return
	}
	o.has, o.err, o.pause, o.slow = taken, nil, 0, false
	if o.failing.Load() {
		o.failing.Store(false)
		logger.Info("an audit sink works again; it lacks the lines in between", "sink", o.name, "lines", o.lost)
		o.lost, o.warned = 0, time.Time{}
	}
}

// fail takes note of a failure, and leaves the output out for a while where it made others wait.
func (o *output) fail(err error) {
	o.err = err
	o.failing.Store(true)
	o.slow = time.Since(o.tried) > slowFailure
	o.pause = min(max(2*o.pause, firstPause), longestPause)
	o.next = time.Now().Add(o.pause)
}

// miss counts a line that the output did not take, and says why. The first failure is logged, then one a minute.
func (o *output) miss(logger *slog.Logger) error {
	o.failures.Add(1)
	o.lost++
	err := o.err
	if err == nil {
		err = errHangs
	}
	if now := time.Now(); now.Sub(o.warned) >= repeatAfter {
		o.warned = now
		logger.Error("an audit sink fails", "sink", o.name, "lines", o.lost, "error", err)
	}
	return err
}

// do has the goroutine do something other than write a line, and waits for it for a while.
func (o *output) do(job func() error) error {
	if o.jobs == nil {
		return job()
	}
	timer := time.NewTimer(sinkTime)
	defer timer.Stop()
	if o.has == handed {
		select {
		case <-o.results: //nolint:errcheck // it was told as one that hangs
			o.has = nothing
		case <-timer.C:
			return fmt.Errorf("the audit sink %s: %w", o.name, errHangs)
		}
	}
	o.jobs <- job
	select {
	case err := <-o.results:
		return err
	case <-timer.C:
		o.has = handed
		return fmt.Errorf("the audit sink %s: %w", o.name, errHangs)
	}
}

// end closes the sink. One that hangs is left to the end of the process.
func (o *output) end() error {
	err := o.do(o.close)
	if o.jobs != nil {
		close(o.jobs)
	}
	return err
}
