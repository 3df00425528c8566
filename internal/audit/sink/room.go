package sink

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"strongroom/internal/audit"
)

// The reserve: room on the disk that a file has beyond its end, so that nobody else can take it. It is asked for ahead
// of need, in steps. What is left of it when the disk is full is for those who can do something about that.
const (
	reserveSize = 4 << 20
	reserveStep = 1 << 20
	leastStep   = 64 << 10
)

// room is what a file of the log has before its disk is full. Where the file system cannot keep room for a file, there
// is no reserve: a line is written as long as there is room.
type room struct {
	file  preallocated
	none  bool
	until int64     // the offset up to which the room is the file's
	tried time.Time // when more was refused last
	full  atomic.Bool
}

// preallocated is a file that can have room beyond its end.
type preallocated interface {
	file
	Fd() uintptr
}

var errFull = errors.New("the disk is full; what is left of the reserve is for operators, and half of it for reading")

// begin takes the reserve of a file of that size, or what is left of it.
func (r *room) begin(f file, size int64) {
	r.until, r.none = size, true
	r.full.Store(false)
	var ok bool
	if r.file, ok = f.(preallocated); !ok {
		return
	}
	for n := int64(reserveSize + reserveStep); n >= leastStep; n /= 2 {
		err := preallocate(r.file, size, n)
		if err == nil {
			r.until, r.none = size+n, false
			r.full.Store(n < reserveSize)
			return
		}
		if !noRoom(err) {
			return
		}
	}
	// Not even a step: the disk is as full as can be.
	r.none = false
	r.full.Store(true)
}

// end gives back what is beyond the file's end: a file that was put aside needs no room.
func (r *room) end() error {
	if r.file == nil || r.none {
		return nil
	}
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	return r.file.Truncate(info.Size())
}

// take gives room for a line of n bytes at the end of the file, or says that there is none for it.
func (r *room) take(size int64, n int, class audit.Reserve) error {
	if r.none {
		return nil
	}
	left := r.until - size - int64(n)
	if left < reserveSize && (!r.full.Load() || time.Since(r.tried) >= time.Second) {
		r.tried = time.Now()
		err := preallocate(r.file, r.until, max(reserveStep, reserveSize-left))
		switch {
		case err == nil:
			r.until += max(reserveStep, reserveSize-left)
			r.full.Store(false)
		case noRoom(err):
			r.full.Store(true)
		default: // it was possible at the start
			r.none = true
			r.full.Store(false)
			return nil
		}
	}
	if !r.full.Load() {
		return nil
	}
	switch class {
	case audit.ReserveAll:
		return nil // the disk has the last word
	case audit.ReserveReads:
		if left > reserveSize/2 {
			return nil
		}
	}
	return errFull
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
