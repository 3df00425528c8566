package chain

import (
	"bytes"
	"io"

	"strongroom/internal/audit/lines"
)

// Seek finds where the lines end whose sequence is below before, by halving: lines stand in their order. Where someone
// has mixed them up, the answer is the start of some line, or the size.
func Seek(f io.ReaderAt, size int64, before uint64) (int64, error) {
	end := size
	for lo, hi := int64(0), size; hi-lo > lines.Block; {
		mid := lo + (hi-lo)/2
		start, l, ok, err := lineAfter(f, mid, end)
		switch {
		case err != nil:
			return 0, err
		case ok && l.Seq < before:
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
func lineAfter(f io.ReaderAt, from, end int64) (start int64, l Line, ok bool, err error) {
	buf := make([]byte, 2*MaxLine)
	for ; from < end; from += MaxLine { // half the buffer: a line that ends beyond it is in the next one
		n, err := f.ReadAt(buf, from)
		if err != nil && err != io.EOF {
			return 0, Line{}, false, err
		}
		if at, l, ok := FirstLine(buf[:n]); ok {
			return from + at, l, from+at < end, nil
		}
	}
	return 0, Line{}, false, nil
}

// FirstLine is the first whole line of ours in b, after the piece it begins with, and where it starts.
func FirstLine(b []byte) (start int64, l Line, ok bool) {
	rest := b
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return 0, Line{}, false
		}
		rest = rest[i+1:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return 0, Line{}, false
		}
		if l, err := ParseLine(rest[:end]); err == nil {
			return int64(len(b) - len(rest)), l, true
		}
	}
}
