package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tailBlock is how much of the end of a file is read to find its last line.
const tailBlock = 4 * maxLine

// tail is how a file of the log ends.
type tail struct {
	found bool
	line  line // the last whole one, where there is one
	// before is the hash of the line before that one, where it was near enough to be read.
	before      sum
	beforeFound bool

	torn int64 // bytes after the last whole line, the end that an open file will be given among them
	open bool  // the file does not end in the end of a line
}

var errNotOurs = errors.New("there is something else than an audit log in it; move it away or name another file")

// readTail finds the last whole line of the file. What follows it is what a crash left: a piece of a line, or, after a
// loss of power, zeros.
func readTail(f *os.File) (tail, error) {
	info, err := f.Stat()
	if err != nil {
		return tail{}, err
	}
	size := info.Size()
	buf := make([]byte, min(size, tailBlock))
	if _, err := f.ReadAt(buf, size-int64(len(buf))); err != nil && err != io.EOF {
		return tail{}, err
	}
	t := tail{open: len(buf) > 0 && buf[len(buf)-1] != '\n'}
	if t.open {
		buf = append(buf, '\n') // as the caller will do: a line may lack nothing else
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	for end > 0 {
		start := bytes.LastIndexByte(buf[:end-1], '\n') + 1
		l, err := parseLine(buf[start : end-1])
		switch {
		case err != nil && t.found:
			return t, nil
		case err == nil && t.found:
			t.before, t.beforeFound = l.hash, true
			return t, nil
		case err == nil:
			t.found, t.line = true, l
			t.torn = int64(len(buf) - end)
		}
		end = start
	}
	if t.found {
		return t, nil
	}
	if size > tailBlock || !unfinished(buf) {
		return tail{}, errNotOurs
	}
	t.torn = int64(len(buf))
	return t, nil
}

// unfinished reports whether b, which has no whole line, may be the beginning of the first one.
func unfinished(b []byte) bool {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	n := min(len(b), len(seqPrefix))
	return string(b[:n]) == seqPrefix[:n] || len(bytes.Trim(b, "\x00\n")) == 0
}

// asideTail is the tail of the latest file beside path that is named after it, for a log that was rotated while the
// server was down. Those who rotate logs name them by number or by date.
func asideTail(path string) (best tail) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return best
	}
	for _, e := range entries {
		rest, named := strings.CutPrefix(e.Name(), filepath.Base(path))
		if !named || rest == "" || rest[0] != '.' && rest[0] != '-' || !e.Type().IsRegular() {
			continue
		}
		f, err := os.Open(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			continue
		}
		t, err := readTail(f)
		f.Close()
		if err == nil && t.found && t.line.seq >= best.line.seq {
			best = t
		}
	}
	return best
}
