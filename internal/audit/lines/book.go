package lines

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
)

// The bounds of what a book remembers, of 16 bytes a mark: the newest marks of each file, of those files that were used
// last. What is older than the marks is read line by line.
const (
	maxMarks = 1 << 17
	maxFiles = 4
)

// maxAhead is how much a file may have grown since it was read last for that to be read in one go.
const maxAhead = 64 << 20

// tailLen is how much of what lies before a place is kept to know the place again. It must hold something of a line
// that no other line has.
const tailLen = 96

// Book remembers where in files the lines are that a Sign was made for. It learns from reading alone, so that it is
// right about whatever is in a file, whoever wrote it and whenever: those who append have nothing to tell it. It is
// safe for use by many goroutines.
type Book struct {
	sign func(line []byte) Sign

	mu    sync.Mutex
	files []*file // those used last first
	buf   []byte  // a block, for reading on

	maxMarks int // a test makes it small
}

// NewBook makes an empty one. sign gives a line's sign, 0 for one that is not to be remembered.
func NewBook(sign func(line []byte) Sign) *Book { return &Book{sign: sign, maxMarks: maxMarks} }

// mark is a line that is remembered.
type mark struct {
	at   int64
	sign Sign
}

// file is what is known of one. All lines with a sign that begin at from or after it, and before to, have their marks,
// in order. Both are where a line begins. The marks themselves are never changed, so that walks can go along them.
type file struct {
	info     os.FileInfo
	from, to int64
	tail     []byte // what lies before to
	marks    []mark
}

// Follow reads what has been appended to a file, so that the next walk has not to.
func (b *Book) Follow(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err = b.read(f)
	return err
}

// read gives what is known of the file, all lines that have come lately among it. A file that is not what it was,
// because it was emptied or another one has got its number, is begun anew.
func (b *Book) read(f *os.File) (*file, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var known *file
	if i := slices.IndexFunc(b.files, func(k *file) bool { return os.SameFile(k.info, info) }); i >= 0 {
		known = b.files[i]
		b.files = slices.Delete(b.files, i, i+1)
	}
	if known == nil || !known.stands(f, info.Size()) {
		known, err = begin(f, info)
	} else if err = b.extend(known, f, info.Size()); errors.Is(err, errAnew) {
		known, err = begin(f, info)
	}
	if err != nil {
		return nil, err
	}
	b.files = slices.Insert(b.files, 0, known)
	b.files = b.files[:min(len(b.files), maxFiles)]
	return known, nil
}

// begin knows nothing of the lines that are there.
func begin(f io.ReaderAt, info os.FileInfo) (*file, error) {
	last, err := NewBackwards(f, info.Size())
	if err != nil {
		return nil, err
	}
	k := &file{info: info, from: last.end, to: last.end, tail: make([]byte, min(last.end, tailLen))}
	_, err = f.ReadAt(k.tail, k.to-int64(len(k.tail)))
	return k, err
}

// stands reports whether what is known holds: what lay before the end of it lies there still.
func (k *file) stands(f io.ReaderAt, size int64) bool {
	if size < k.to {
		return false
	}
	now := make([]byte, len(k.tail))
	_, err := f.ReadAt(now, k.to-int64(len(now)))
	return err == nil && bytes.Equal(now, k.tail)
}

// errAnew is for what cannot be read on from where it was left.
var errAnew = errors.New("the file is to be begun anew")

// extend reads the whole lines that lie behind what is known.
func (b *Book) extend(k *file, f io.ReaderAt, size int64) error {
	ahead := size - k.to
	switch {
	case ahead == 0:
		return nil
	case ahead > maxAhead:
		return errAnew
	}
	if b.buf == nil {
		b.buf = make([]byte, Block)
	}
	for buf := b.buf; k.to < size; {
		n, err := f.ReadAt(buf[:min(size-k.to, Block)], k.to)
		if err != nil {
			return err
		}
		whole := bytes.LastIndexByte(buf[:n], '\n') + 1
		if whole == 0 {
			if n == Block {
				return errAnew // a line in pieces: they are cut from its end
			}
			return nil // a line that is just being written
		}
		for at := 0; at < whole; {
			l := buf[at : at+bytes.IndexByte(buf[at:whole], '\n')]
			if s := b.sign(l); s != 0 {
				k.marks = append(k.marks, mark{k.to + int64(at), s})
			}
			at += len(l) + 1
		}
		k.to += int64(whole)
		k.tail = append(k.tail, buf[max(0, whole-tailLen):whole]...)
		k.tail = k.tail[max(0, len(k.tail)-tailLen):]
	}
	if len(k.marks) > b.maxMarks {
		k.marks = slices.Clone(k.marks[len(k.marks)-b.maxMarks/2:])
		k.from = k.marks[0].at
	}
	return nil
}
