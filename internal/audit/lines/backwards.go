// Package lines reads files of lines from their end, and remembers where in them the rare lines are that are asked for
// again and again (book.go). What the lines say is nothing to it.
package lines

import (
	"bytes"
	"io"
)

// Block is how much of a file is read at a time. A longer line is read in pieces.
const Block = 256 << 10

// Backwards reads the lines of a file from the last to the first, in memory of about two blocks. A piece without its
// end at the end of the file is a line that is just being written, and left out.
type Backwards struct {
	f    io.ReaderAt
	end  int64 // of the last whole line
	off  int64 // of what has not been read
	buf  []byte
	spun []byte // the other buffer
}

// NewBackwards reads what of the file lies before the offset end, which is the start of a line or the file's size.
func NewBackwards(f io.ReaderAt, end int64) (*Backwards, error) {
	b := &Backwards{f: f, off: end}
	for {
		if i := bytes.LastIndexByte(b.buf, '\n'); i >= 0 {
			b.buf, b.end = b.buf[:i], b.off+int64(i)+1
			return b, nil
		}
		b.buf = b.buf[:0]
		if ok, err := b.fill(); err != nil || !ok {
			return b, err
		}
	}
}

// Line returns the next line towards the beginning, without its end, valid until the next call, and its offset; io.EOF
// after the first.
func (b *Backwards) Line() ([]byte, int64, error) {
	for {
		if i := bytes.LastIndexByte(b.buf, '\n'); i >= 0 {
			l := b.buf[i+1:]
			b.buf = b.buf[:i]
			return l, b.off + int64(i) + 1, nil
		}
		if len(b.buf) > Block {
			// Its beginning is read on as a line of its own.
			b.buf = b.buf[:0]
		}
		ok, err := b.fill()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			if b.buf == nil {
				return nil, 0, io.EOF
			}
			l := b.buf
			b.buf = nil
			return l, 0, nil
		}
	}
}

// fill puts the block before what has been read in front of what is left of that.
func (b *Backwards) fill() (bool, error) {
	n := min(b.off, Block)
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
