package audit

import (
	"bytes"
	"io"
	"strconv"
)

// rotated is the name that logrotate gives to the n-th last file.
func rotated(path string, n int) string { return path + "." + strconv.Itoa(n) }

// backBlock is how much of a file is read at a time, from its end. It is more than a line.
const backBlock = 4 * maxLine

// backwards reads the lines of a file from the last to the first, in memory of about two blocks. A piece without its end
// at the end of the file is a line that is just being written, and left out.
type backwards struct {
	f    io.ReaderAt
	off  int64 // of what has not been read
	buf  []byte
	spun []byte // the other buffer
}

// newBackwards reads what of the file lies before the offset end, which is the start of a line or the file's size.
func newBackwards(f io.ReaderAt, end int64) (*backwards, error) {
	b := &backwards{f: f, off: end}
	for {
		if i := bytes.LastIndexByte(b.buf, '\n'); i >= 0 {
			b.buf = b.buf[:i]
			return b, nil
		}
		b.buf = b.buf[:0]
		if ok, err := b.fill(); err != nil || !ok {
			return b, err
		}
	}
}

// line returns the next line towards the beginning, without its end, valid until the next call; io.EOF after the first.
func (b *backwards) line() ([]byte, error) {
	for {
		if i := bytes.LastIndexByte(b.buf, '\n'); i >= 0 {
			l := b.buf[i+1:]
			b.buf = b.buf[:i]
			return l, nil
		}
		if len(b.buf) > backBlock {
			// No line of ours is that long. Its beginning is read on as a line of its own, and not understood either.
			b.buf = b.buf[:0]
		}
		ok, err := b.fill()
		if err != nil {
			return nil, err
		}
		if !ok {
			if b.buf == nil {
				return nil, io.EOF
			}
			l := b.buf
			b.buf = nil
			return l, nil
		}
	}
}

// fill puts the block before what has been read in front of what is left of that.
func (b *backwards) fill() (bool, error) {
	n := min(b.off, backBlock)
	if n == 0 {
		return false, nil
	}
	next := append(b.spun[:0], make([]byte, n)...)
	if _, err := b.f.ReadAt(next, b.off-n); err != nil {
		return false, err
	}
	next = append(next, b.buf...)
	b.off -= n
	b.spun, b.buf = b.buf, next
	return true, nil
}

// seek finds where the lines end whose sequence is below before, by halving: lines stand in their order. Where someone
// has mixed them up, the answer is the start of some line, or the size.
func seek(f io.ReaderAt, size int64, before uint64) (int64, error) {
	end := size
	for lo, hi := int64(0), size; hi-lo > backBlock; {
		mid := lo + (hi-lo)/2
		start, l, ok, err := lineAfter(f, mid, end)
		switch {
		case err != nil:
			return 0, err
		case ok && l.seq < before:
			lo = start
		case ok:
			end, hi = start, mid
		default:
			hi = mid // no line of ours begins between here and the end
		}
	}
	return end, nil
}

// lineAfter is the first whole line of ours that begins after the offset from and before the offset end.
func lineAfter(f io.ReaderAt, from, end int64) (start int64, l line, ok bool, err error) {
	buf := make([]byte, 2*maxLine)
	for ; from < end; from += maxLine { // half the buffer: a line that ends beyond it is in the next one
		n, err := f.ReadAt(buf, from)
		if err != nil && err != io.EOF {
			return 0, line{}, false, err
		}
		if at, l, ok := firstLine(buf[:n]); ok {
			return from + at, l, from+at < end, nil
		}
	}
	return 0, line{}, false, nil
}

// firstLine is the first whole line of ours in b, after the piece it begins with, and where it starts.
func firstLine(b []byte) (start int64, l line, ok bool) {
	rest := b
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return 0, line{}, false
		}
		rest = rest[i+1:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return 0, line{}, false
		}
		if l, err := parseLine(rest[:end]); err == nil {
			return int64(len(b) - len(rest)), l, true
		}
	}
}
