package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Stats are the log's counters since Open.
type Stats struct {
	Seq     uint64 // of the last line
	Written uint64 // lines
	Refused uint64 // entries that no sink took: their acts did not happen
	Sinks   []SinkStats
}

// SinkStats are the counters of one sink.
type SinkStats struct {
	Name     string // as the configuration names it, with a file's whole path
	Failures uint64 // lines it did not take
	Failing  bool   // it did not take the last one
	Full     bool   // a file lives from its reserve, or has used it up
}

// Health is whether acts can be put on record.
type Health struct {
	OK bool // at least one sink takes lines, so that acts take place
	// Problems say what is wrong, a sentence each, without a path or an address.
	Problems []string
}

// Health tells how the sinks are. Where none took the last line it tries them again, since nobody may ask for an act of
// a server that is not healthy.
func (l *Log) Health(ctx context.Context) Health {
	s := l.Stats()
	if s.failing() == len(s.Sinks) && l.probed.CompareAndSwap(false, true) {
		// the sinks keep what came of it
		_ = l.Record(ctx, Entry{Action: actionCheck, Outcome: Allowed, Reserve: ReserveAll})
		l.probed.Store(false)
		s = l.Stats()
	}
	if slices.ContainsFunc(s.Sinks, func(sink SinkStats) bool { return sink.Full }) && l.acquire() == nil {
		for _, f := range l.files() {
			_ = f.of.do(func() error { return f.room.take(f.size, 0, ReserveAll) }) // the room keeps what came of it
		}
		l.release()
		s = l.Stats()
	}
	h := Health{OK: s.failing() < len(s.Sinks)}
	if !h.OK {
		h.Problems = append(h.Problems, "no sink of the audit log takes lines: every act is refused")
		return h
	}
	if lost := l.lost.Load(); lost != nil {
		h.Problems = append(h.Problems, "a part of the audit log is lost; see the server's log")
	}
	for _, sink := range s.Sinks {
		if sink.Full {
			h.Problems = append(h.Problems, "the disk of the audit log is full: from a reserve operators act, and "+
				"names and values are read; all else is refused")
		}
		if sink.Failing && !sink.Full {
			h.Problems = append(h.Problems, fmt.Sprintf("a sink of the kind %s takes no lines; others do", sink.Kind()))
		}
	}
	return h
}

// failing is how many sinks did not take the last line.
func (s Stats) failing() (n int) {
	for _, sink := range s.Sinks {
		if sink.Failing {
			n++
		}
	}
	return n
}

// Kind is file, stdout or syslog: paths and addresses are not everybody's business.
func (s SinkStats) Kind() string {
	kind, _, _ := strings.Cut(s.Name, ":")
	return kind
}

// Stats does not wait for a sink.
func (l *Log) Stats() Stats {
	s := Stats{Seq: l.seq.Load(), Written: l.written.Load(), Refused: l.refused.Load()}
	for _, o := range l.outputs {
		full := false
		if f, ok := o.sink.(*fileSink); ok {
			full = f.room.full.Load()
		}
		s.Sinks = append(s.Sinks, SinkStats{Name: o.name, Failures: o.failures.Load(), Failing: o.failing.Load(),
			Full: full})
	}
	return s
}
