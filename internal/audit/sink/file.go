package sink

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
)

// fileSink appends to a file. A line is one write to the kernel and no fsync: what was written survives the end of the
// process by whatever signal, but the last moments may be lost when the machine loses its power. A sync a line would
// cost every request milliseconds.
type fileSink struct {
	path string
	of   *output // whose sink it is
	f    file
	last chain.Tail // as found when the file was opened
	rest int64      // bytes at the end of the file that are a part of a line, still to be cut away
	size int64      // as it is to be
	room *room      // ahead of the end

	renamed time.Time // when it was first seen that the name is another file's, or nobody's
	told    bool      // that it has been so for long
	gone    bool      // it was removed, and nothing took its place
}

// renameTime is how long a file may have another name before that is told: whoever rotates logs renames it and then
// sends SIGHUP.
const renameTime = time.Minute

// file is what of an *os.File is used for writing.
type file interface {
	io.WriteCloser
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
}

// openFile opens the file for appending, or makes it with mode 0600 and its folder with 0700, and locks it: lines of
// two writers would make two chains of one.
func openFile(path string) (*fileSink, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, errors.New("it is a folder; name a file in it")
	} else if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file; name another, or the sinks stdout or syslog")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &fileSink{path: path, f: f, room: new(room)}
	if err := s.prepare(f); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// prepare locks the file and makes sure that it ends in a whole line, or at least in the end of one.
func (s *fileSink) prepare(f *os.File) error {
	// The lock belongs to the open file, and so ends with the process.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return errors.New("another process writes it; stop that one or name another file")
	} else if err != nil {
		return fmt.Errorf("locking it: %w", err)
	}
	var err error
	if s.last, err = chain.ReadTail(f); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.size = info.Size()
	s.room.begin(f, s.size)
	if s.last.Open {
		// An unfinished line stays as a trace; the next line says how long it is.
		if err := s.write([]byte("\n"), audit.ReserveAll); err != nil {
			return err
		}
	}
	return nil
}

func (s *fileSink) write(line []byte, r audit.Reserve) error {
	if s.gone {
		return errGone
	}
	if err := s.cut(); err != nil {
		return err
	}
	if err := s.room.take(s.size, len(line), r); err != nil {
		return err
	}
	n, err := s.f.Write(line)
	if err == nil {
		s.size += int64(n)
		return nil
	}
	// The disk is full, most of the time: take back what it still took.
	s.rest = int64(n)
	return errors.Join(err, s.cut())
}

// cut takes away what a failed write left.
func (s *fileSink) cut() error {
	if s.rest == 0 {
		return nil
	}
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	// A file that has become shorter was emptied by someone else, with the rest in it.
	if size := info.Size() - s.rest; size >= 0 {
		if err := s.f.Truncate(size); err != nil {
			return fmt.Errorf("taking back an unfinished line: %w", err)
		}
	}
	s.rest = 0
	return nil
}

// reopen turns to the file that has the name now and reports whether it is another one. After an error the sink goes on
// with the file it has.
func (s *fileSink) reopen() (changed bool, err error) {
	was, err := s.f.Stat()
	if err != nil {
		return false, err
	}
	if is, err := os.Stat(s.path); err == nil && os.SameFile(was, is) {
		return false, nil
	}
	next, err := openFile(s.path)
	if err != nil {
		return false, fmt.Errorf("opening the audit log %s anew: %w", s.path, explain(err))
	}
	err = errors.Join(s.room.end(), s.f.Close())
	next.of = s.of
	next.room = s.room // whose state others read
	*s = *next
	s.room.begin(next.f, s.size)
	return true, err
}

func (s *fileSink) close() error { return errors.Join(s.room.end(), s.f.Close()) }

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
