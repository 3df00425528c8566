package chain

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// TailBlock is how much of the end of a file is read to find its last line.
const TailBlock = 4 * MaxLine

// Tail is how a file of the log ends.
type Tail struct {
	Found bool
	Line  Line // the last whole one, where there is one
	// Before is the hash of the line before that one, where it was near enough to be read.
	Before      Sum
	BeforeFound bool

	Torn int64 // bytes after the last whole line, the end that an open file will be given among them
	Open bool  // the file does not end in the end of a line
}

var errNotOurs = errors.New("there is something else than an audit log in it; move it away or name another file")

// ReadTail finds the last whole line of the file. What follows it is what a crash left: a piece of a line, or, after a
// loss of power, zeros.
func ReadTail(f *os.File) (Tail, error) {
	info, err := f.Stat()
	if err != nil {
		return Tail{}, err
	}
	size := info.Size()
	buf := make([]byte, min(size, TailBlock), TailBlock+1)
	if _, err := f.ReadAt(buf, size-int64(len(buf))); err != nil && err != io.EOF {
		return Tail{}, err
	}
	t := Tail{Open: len(buf) > 0 && buf[len(buf)-1] != '\n'}
	if t.Open {
		buf = append(buf, '\n') // as the caller will do: a line may lack nothing else
	}
	end := bytes.LastIndexByte(buf, '\n') + 1
	for end > 0 {
		start := bytes.LastIndexByte(buf[:end-1], '\n') + 1
		l, err := ParseLine(buf[start : end-1])
		switch {
		case err != nil && t.Found:
			return t, nil
		case err == nil && t.Found:
			t.Before, t.BeforeFound = l.Hash, true
			return t, nil
		case err == nil:
			t.Found, t.Line = true, l
			t.Torn = int64(len(buf) - end)
		}
		end = start
	}
	if t.Found {
		return t, nil
	}
	if size > TailBlock || !unfinished(buf) {
		return Tail{}, errNotOurs
	}
	t.Torn = int64(len(buf))
	return t, nil
}

// unfinished reports whether b, which has no whole line, may be the beginning of the first one.
func unfinished(b []byte) bool {
	b = bytes.TrimSuffix(b, []byte{'\n'})
	n := min(len(b), len(SeqPrefix))
	return string(b[:n]) == SeqPrefix[:n] || len(bytes.Trim(b, "\x00\n")) == 0
}

// AsideTail is the tail of the latest file beside path that is named after it, for a log that was rotated while the
// server was down. Those who rotate logs name them by number or by date.
func AsideTail(path string) (best Tail) {
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
		t, err := ReadTail(f)
		f.Close()
		if err == nil && t.Found && t.Line.Seq >= best.Line.Seq {
			best = t
		}
	}
	return best
}
