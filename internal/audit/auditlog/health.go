package auditlog

import (
	"context"
	"fmt"
	"slices"

	"strongroom/internal/audit"
	"strongroom/internal/audit/sink"
)

// Stats are the log's counters since Open.
type Stats struct {
	Seq     uint64 // of the last line
	Written uint64 // lines
	Refused uint64 // entries that no sink took: their acts did not happen
	Sinks   []sink.Stats
}

// Health tells how the sinks are. Where none took the last line it tries them again, since nobody may ask for an act of
// a server that is not healthy.
func (l *Log) Health(ctx context.Context) audit.Health {
	s := l.Stats()
	if s.failing() == len(s.Sinks) && l.probed.CompareAndSwap(false, true) {
		// the sinks keep what came of it
		_ = l.Record(ctx, audit.Entry{Action: audit.ActionCheck, Outcome: audit.Allowed, Reserve: audit.ReserveAll})
		l.probed.Store(false)
		s = l.Stats()
	}
	if slices.ContainsFunc(s.Sinks, func(sink sink.Stats) bool { return sink.Full }) && l.acquire() == nil {
		l.sinks.TryRoom()
		l.release()
		s = l.Stats()
	}
	h := audit.Health{OK: s.failing() < len(s.Sinks)}
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

// Stats does not wait for a sink.
func (l *Log) Stats() Stats {
	return Stats{Seq: l.seq.Load(), Written: l.written.Load(), Refused: l.refused.Load(), Sinks: l.sinks.Stats()}
}
