package auditlog

import (
	"context"
	"time"

	"strongroom/internal/audit"
)

// How often the files are looked at, and the mark is saved.
const (
	watchTime = time.Second
	markTime  = 10 * time.Second
)

// Maintain looks, until ctx ends, whether the files are still the ones that are written, and saves now and
// then how far the log goes.
func (l *Log) Maintain(ctx context.Context) {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	marked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.watch()
			if time.Since(marked) >= markTime {
				marked = time.Now()
				if err := l.mark(ctx); err != nil && ctx.Err() == nil {
					l.logger.Warn("how far the audit log goes could not be kept with the data, and will be "+
						"tried again", "error", err)
				}
			}
		}
	}
}

// watch looks at every file. Where one was removed, the next lines go into a new one; where one was cut, they say so.
func (l *Log) watch() {
	if l.acquire() != nil {
		return
	}
	defer l.release()
	if l.closed {
		return
	}
	lost := l.sinks.Look()
	for _, what := range lost {
		l.lose(what)
	}
	if len(lost) > 0 {
		start := audit.Record{Entry: audit.Entry{Action: audit.ActionReopen, Outcome: audit.Allowed,
			Reserve: audit.ReserveAll}}
		if err := l.begin(start); err != nil {
			l.logger.Error("the audit log could not go on in another file", "error", err)
		}
	}
}
