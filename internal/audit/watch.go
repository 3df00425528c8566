package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// How often the files are looked at, and the mark is saved; and how long a file may have another name before that is
// told: whoever rotates logs renames it and then sends SIGHUP.
const (
	watchTime  = time.Second
	markTime   = 10 * time.Second
	renameTime = time.Minute
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
	start := Record{Entry: Entry{Action: actionReopen, Outcome: Allowed, Reserve: ReserveAll}}
	changed := false
	for _, f := range l.files() {
		var what string
		err := f.of.do(func() (err error) { what, err = f.look(); return err })
		if what != "" {
			l.lose(what)
			changed = true
		}
		if now := time.Now(); err != nil && now.Sub(f.of.looked) >= repeatAfter {
			f.of.looked = now
			l.logger.Warn("a file of the audit log is not the one that has its name", "sink", f.of.name, "error", err)
		}
	}
	if changed {
		if err := l.begin(start); err != nil {
			l.logger.Error("the audit log could not go on in another file", "error", err)
		}
	}
}

// look compares the file that is written with the one that has its name. It says what is lost, and
// is then ready to go on.
func (s *fileSink) look() (lost string, err error) {
	own, err := s.f.Stat()
	if err != nil {
		return "", err
	}
	named, err := os.Stat(s.path)
	if err == nil && os.SameFile(own, named) {
		s.renamed = time.Time{}
		if own.Size() < s.size {
			lost = fmt.Sprintf("the file of the audit log was cut from %d to %d bytes while the server ran",
				s.size, own.Size())
			s.size, s.rest = own.Size(), 0
			s.room.begin(s.f, s.size)
		}
		return lost, nil
	}
	if st, ok := own.Sys().(*syscall.Stat_t); ok && st.Nlink > 0 {
		switch {
		case s.renamed.IsZero():
			s.renamed = time.Now()
		case time.Since(s.renamed) > renameTime && !s.told:
			s.told = true
			return "", errRenamed
		}
		return "", nil
	}
	size := s.size
	if _, err := s.reopen(); err != nil {
		s.gone = true
		return "", fmt.Errorf("the file was removed: %w", err)
	}
	return fmt.Sprintf("the file of the audit log was removed while the server ran, with %d bytes in it", size), nil
}

var errRenamed = errors.New("the file has another name, and lines go on being written there; send SIGHUP once it has " +
	"been renamed")

var errGone = errors.New("the file was removed, and a new one cannot be made")

// sync has the lines reach the disk.
func (s *fileSink) sync() error {
	if f, ok := s.f.(*os.File); ok {
		return f.Sync()
	}
	return nil
}
