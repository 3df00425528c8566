// Package copying copies a data file to one without a name, as the kernel does it best.
package copying

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
)

const (
	// Reserve is the room in bytes that a copy leaves to those who write.
	Reserve = 64 << 20
	// piece is how many bytes are copied before the context is looked at.
	piece = 32 << 20
)

// ErrNoRoom is the reason why no copy is made.
var ErrNoRoom = errors.New("there is no room for a copy beside the file")

// Pattern is what the copies of a file are named, for as long as they have a name.
func Pattern(path string) string { return filepath.Base(path) + ".copy-*" }

// Nameless makes a file beside the path that has no name by the time it is written to.
func Nameless(path string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), Pattern(path))
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// Copier takes what bbolt's WriteTo writes. The pages, which WriteTo reads from the file, it copies itself: the kernel
// does that without passing them through us, and on file systems that can, without copying anything.
type Copier struct {
	ctx      context.Context
	to, from *os.File
	at       int64
	err      error
}

// New makes a copier that ends with ctx.
func New(ctx context.Context, to, from *os.File) *Copier {
	return &Copier{ctx: ctx, to: to, from: from}
}

// Err is why the copier has failed, or nil: bbolt passes on no more than its text.
func (c *Copier) Err() error { return c.err }

func (c *Copier) Write(p []byte) (n int, err error) {
	if c.err = c.ctx.Err(); c.err == nil {
		n, c.err = c.to.WriteAt(p, c.at)
		c.at += int64(n)
	}
	return n, c.err
}

// ReadFrom copies as many bytes as the reader gives, from the same place of the file.
func (c *Copier) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for n < limited.N {
		if c.err = c.ctx.Err(); c.err != nil {
			return n, c.err
		}
		more, err := copyRange(c.to, c.from, c.at, min(piece, limited.N-n))
		n, c.at = n+more, c.at+more
		if c.err = err; err != nil {
			return n, err
		}
	}
	limited.N = 0
	return n, nil
}

// copyBytes copies a part of a file to the same place of another by reading and writing.
func copyBytes(to, from *os.File, at, n int64) (int64, error) {
	done, err := io.Copy(io.NewOffsetWriter(to, at), io.NewSectionReader(from, at, n))
	if err == nil && done < n {
		err = io.ErrUnexpectedEOF
	}
	return done, err
}
