package lines

import (
	"bytes"
	"io"
	"os"
	"slices"
)

// Walk is a way through the lines of a file, from the last to the first, that leaves out as many as it can of
// those that are not wanted.
type Walk struct {
	book *Book
	want Sign
	f    io.ReaderAt

	marks []mark // that are still to be visited, before what is not known
	buf   []byte

	back   *Backwards
	known  *file
	from   int64  // of what is known, as the walk began
	below  int64  // where what is not known is read from
	found  []mark // there, the last one first
	downTo int64  // where those that were found begin
	room   int    // for more of them
}

// Walk goes through the lines before the offset end, which is where a line begins, or the file's size. Close ends it.
func (b *Book) Walk(f *os.File, end int64, want Sign) (*Walk, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, err := b.read(f)
	if err != nil {
		return nil, err
	}
	w := &Walk{book: b, want: want, f: f, known: known, from: known.from, below: min(known.from, end),
		downTo: known.from, room: b.maxMarks - len(known.marks)}
	n, _ := slices.BinarySearchFunc(known.marks, end, func(m mark, end int64) int {
		return int(min(1, max(-1, m.at-end)))
	})
	w.marks = known.marks[:n]
	return w, nil
}

// Line returns the next line that may be wanted, without its end, valid until the next call; io.EOF after the first. It
// gives those that are not wanted, too, where it has to read them.
func (w *Walk) Line() ([]byte, error) {
	for len(w.marks) > 0 {
		m := w.marks[len(w.marks)-1]
		w.marks = w.marks[:len(w.marks)-1]
		if m.sign&w.want == w.want {
			return w.at(m.at)
		}
	}
	if w.back == nil {
		var err error
		if w.back, err = NewBackwards(w.f, w.below); err != nil {
			return nil, err
		}
	}
	l, at, err := w.back.Line()
	if err == nil && w.below == w.from && len(w.found) < w.room {
		if s := w.book.sign(l); s != 0 {
			w.found = append(w.found, mark{at, s})
		}
		w.downTo = at
	}
	return l, err
}

// at reads the line that begins there. Most are short.
func (w *Walk) at(at int64) ([]byte, error) {
	for size := 1 << 10; ; size = 2 * Block {
		if cap(w.buf) < size {
			w.buf = make([]byte, size)
		}
		n, err := w.f.ReadAt(w.buf[:size], at)
		if i := bytes.IndexByte(w.buf[:n], '\n'); i >= 0 {
			return w.buf[:i], nil
		}
		if err != nil { // the file has been emptied meanwhile
			return nil, err
		}
		if size > Block { // nor does Backwards give it whole
			return w.buf[:0], nil
		}
	}
}

// Close has the book remember what was read. It does not close the file.
func (w *Walk) Close() {
	if w.downTo == w.from {
		return
	}
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	if k := w.known; k.from == w.from { // nobody else was there before
		slices.Reverse(w.found)
		k.marks = append(w.found, k.marks...)
		k.from = w.downTo
	}
}
