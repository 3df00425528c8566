package sink

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
)

// The longest waits for a line: for the only sinks that are left; and, where one sink has taken it, for the others.
const (
	WaitTime = 5 * time.Second
	sinkTime = 2 * time.Second
)

// Set is the sinks of a log, which all get the same lines. It is for one goroutine at a time, but for Stats.
type Set struct {
	outputs []*output
	logger  *slog.Logger
}

// Open opens the sinks that the texts name; stdout is what the sink of that name is, nil for os.Stdout.
func Open(texts []string, stdout io.Writer, logger *slog.Logger) (*Set, error) {
	s := &Set{logger: logger}
	for _, text := range texts {
		o, err := newOutput(text, stdout)
		if err == nil && slices.ContainsFunc(s.outputs, func(other *output) bool { return other.name == o.name }) {
			err = fmt.Errorf("the audit sink %s is named twice", o.name)
			_ = o.end() // it has written nothing
		}
		if err != nil {
			s.Close()
			return nil, err
		}
		s.outputs = append(s.outputs, o)
	}
	if len(s.outputs) > 1 || len(s.files()) == 0 {
		for _, o := range s.outputs {
			o.begin()
		}
	}
	return s, nil
}

// Close closes the sinks. One that hangs is left to the end of the process.
func (s *Set) Close() (err error) {
	for _, o := range s.outputs {
		err = errors.Join(err, o.end())
	}
	return err
}

func (s *Set) files() []*fileSink {
	var files []*fileSink
	for _, o := range s.outputs {
		if f, ok := o.sink.(*fileSink); ok {
			files = append(files, f)
		}
	}
	return files
}

// File is a file among the sinks.
type File struct {
	Path string
	Tail chain.Tail // as found when it was opened
}

// Files gives the files among the sinks.
func (s *Set) Files() []File {
	var files []File
	for _, f := range s.files() {
		files = append(files, File{f.path, f.last})
	}
	return files
}

// Send gives the line to every sink, and reports how many took it, and whether one has it that has not said so, which
// then still reads it. A sink that makes others wait is left out for growing pauses while others take lines.
func (s *Set) Send(line []byte, r audit.Reserve) (took int, unsure bool, failed error) {
	now := time.Now()
	var later []*output
	for _, o := range s.outputs {
		o.collect(s.logger)
		if o.slow && now.Before(o.next) {
			later = append(later, o)
			continue
		}
		o.give(line, r, now, s.logger)
	}
	wait := func(until time.Time, also bool) {
		for _, o := range s.outputs {
			if o.has == handed && o.fresh && (also || !o.slow) {
				o.await(until, s.logger)
			}
		}
	}
	count := func() (n int) {
		for _, o := range s.outputs {
			if o.has == taken {
				n++
			}
		}
		return n
	}
	wait(now.Add(sinkTime), false)
	if count() == 0 { // those that are left out are what is left
		for _, o := range later {
			if now.Sub(o.tried) >= firstPause {
				o.give(line, r, time.Now(), s.logger)
			}
		}
		wait(now.Add(WaitTime), true)
	}
	for _, o := range s.outputs {
		switch o.has {
		case taken:
			took++
		case handed:
			if o.fresh {
				unsure, o.fresh = true, false
			}
		}
		if o.has != taken {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", o.name, o.miss(s.logger)))
		}
		if o.has != handed {
			o.has = nothing
		}
	}
	return took, unsure, failed
}

// Failing is an error where a sink did not take the last line.
func (s *Set) Failing() error {
	for _, o := range s.outputs {
		if o.failing.Load() {
			return fmt.Errorf("the audit sink %s does not take a line; the log says why", o.name)
		}
	}
	return nil
}

// Reopen turns to the files that have the sinks' names now, and reports whether one is another than before, and how
// many bytes of an unfinished line are at the end of one. A file that cannot be opened leaves its sink with the old
// one.
func (s *Set) Reopen() (changed bool, torn int64, failed error) {
	for _, f := range s.files() {
		var other bool
		err := f.of.do(func() (err error) { other, err = f.reopen(); return err })
		failed = errors.Join(failed, err)
		if err == nil && other {
			changed = true
			torn = max(torn, f.last.Torn)
		}
	}
	return changed, torn, failed
}

// Look compares every file that is written with the one that has its name, and goes on in a new one where it was
// removed. It gives what is lost.
func (s *Set) Look() (lost []string) {
	for _, f := range s.files() {
		var what string
		err := f.of.do(func() (err error) { what, err = f.look(); return err })
		if what != "" {
			lost = append(lost, what)
		}
		if now := time.Now(); err != nil && now.Sub(f.of.looked) >= repeatAfter {
			f.of.looked = now
			s.logger.Warn("a file of the audit log is not the one that has its name", "sink", f.of.name, "error", err)
		}
	}
	return lost
}

// Sync has the lines in files reach the disk, but for files that take no lines.
func (s *Set) Sync() (failed error) {
	for _, f := range s.files() {
		if !f.of.failing.Load() {
			failed = errors.Join(failed, f.of.do(f.sync))
		}
	}
	return failed
}

// TryRoom looks whether the files have room again. Stats tells what came of it.
func (s *Set) TryRoom() {
	for _, f := range s.files() {
		_ = f.of.do(func() error { return f.room.take(f.size, 0, audit.ReserveAll) }) // the room keeps what came of it
	}
}

// Stats are the counters of one sink.
type Stats struct {
	Name     string // as the configuration names it, with a file's whole path
	Failures uint64 // lines it did not take
	Failing  bool   // it did not take the last one
	Full     bool   // a file lives from its reserve, or has used it up
}

// Kind is file, stdout or syslog: paths and addresses are not everybody's business.
func (s Stats) Kind() string {
	kind, _, _ := strings.Cut(s.Name, ":")
	return kind
}

// Stats gives the counters of the sinks, and waits for none.
func (s *Set) Stats() (all []Stats) {
	for _, o := range s.outputs {
		full := false
		if f, ok := o.sink.(*fileSink); ok {
			full = f.room.full.Load()
		}
		all = append(all, Stats{Name: o.name, Failures: o.failures.Load(), Failing: o.failing.Load(), Full: full})
	}
	return all
}
