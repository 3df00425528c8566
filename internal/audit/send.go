package audit

import (
	"errors"
	"fmt"
	"time"

	"strongroom/internal/errs"
)

// maxDoubted bounds what is remembered of acts whose record may be wrong.
const maxDoubted = 100

// settle puts on record that acts did not take place whose lines a sink may have written long after they were refused.
// The lock is held.
func (l *Log) settle() {
	doubted := l.doubted
	l.doubted = nil
	for i, e := range doubted {
		e.Time, e.Outcome, e.Code = time.Time{}, Failed, string(errs.Unavailable)
		if l.appendParts(e) != nil {
			l.doubted = doubted[i:]
			return
		}
	}
}

// send gives the line to every sink, and reports how many took it, and whether one has it that has not said so. A sink
// that makes others wait is left out for growing pauses while others take lines. The lock is held.
func (l *Log) send(line []byte, r Reserve) (took int, unsure bool, failed error) {
	now := time.Now()
	var later []*output
	for _, o := range l.outputs {
		o.collect(l.logger)
		if o.slow && now.Before(o.next) {
			later = append(later, o)
			continue
		}
		o.give(line, r, l.logger)
	}
	wait := func(until time.Time, also bool) {
		for _, o := range l.outputs {
			if o.has == handed && o.fresh && (also || !o.slow) {
				o.await(until, l.logger)
			}
		}
	}
	count := func() (n int) {
		for _, o := range l.outputs {
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
				o.give(line, r, l.logger)
			}
		}
		wait(now.Add(lockTime), true)
	}
	for _, o := range l.outputs {
		switch o.has {
		case taken:
			took++
		case handed:
			if o.fresh {
				unsure, o.fresh = true, false
				l.buf = nil // it still reads the line
			}
		}
		if o.has != taken {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", o.name, o.miss(l.logger)))
		}
		if o.has != handed {
			o.has = nothing
		}
	}
	return took, unsure, failed
}
