package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"strongroom/internal/kv"
)

// writeRoom is how much room in bytes there should be beside the file, which grows by as much at a time.
const writeRoom = 16 << 20

// The faults that last.
var (
	errReadOnly = fmt.Errorf("%w: its file system is read-only: nothing is written until it is not and influxd "+
		"is restarted", kv.ErrFault)
	errFailed = fmt.Errorf("%w: writing to it has failed: nothing is written until influxd is restarted; the "+
		"server's log says more", kv.ErrFault)
)

// state is whether the file can be written to.
type state struct {
	mu     sync.Mutex
	failed error // nothing is written any more, until the file is opened anew
	full   bool  // the last transaction found no room

	gone atomic.Pointer[error] // nothing is read any more, either
}

func (s *state) loses(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
	s.gone.Store(&err)
}

func (s *state) lost() error {
	if gone := s.gone.Load(); gone != nil {
		return *gone
	}
	return nil
}

func (s *state) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err
}

func (s *state) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *state) ended(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.full = false
	} else if errors.Is(err, kv.ErrFull) {
		s.full = true
	}
}

// Health says why transactions are refused, or will soon be: kv.ErrFault where the disk has failed, is read-only or has
// lost the file, kv.ErrFull where there is no room, or hardly any. Reading goes on. It names no
// path: everybody may know.
func (db *DB) Health() error {
	switch err := db.state.failure(); {
	case errors.Is(err, errReadOnly):
		return errReadOnly
	case err != nil:
		return errFailed
	}
	if err := db.present(); err != nil {
		return err
	}
	db.state.mu.Lock()
	full := db.state.full
	db.state.mu.Unlock()
	if full {
		return fmt.Errorf("%w: there was no room for the last change", kv.ErrFull)
	}
	if room, err := db.room(db.file); err == nil && room < writeRoom {
		return fmt.Errorf("%w: there are %d bytes of room left", kv.ErrFull, room)
	}
	return nil
}

// present is kv.ErrFault where the path leads to the open file no more: it was removed, or another was put in its
// place. What is written to it then is lost with the process.
func (db *DB) present() error {
	now, err := os.Stat(db.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: the data file was removed: nothing is written; put it back, or stop influxd and "+
			"restore a backup", kv.ErrFault)
	case err == nil && !os.SameFile(now, db.opened):
		return fmt.Errorf("%w: the data file was replaced by another: nothing is written; put it back, or restart "+
			"influxd to use the other", kv.ErrFault)
	}
	return nil // another error is the disk's, and shows where it is written to
}
