package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"strongroom/internal/kv"
)

// The bounds of backups.
const (
	// maxCopies is how many backups are made at a time. Each has a copy of the file beside it as
	// long as its reader takes.
	maxCopies = 4
	// copyReserve is the room in bytes that a copy leaves to those who write.
	copyReserve = 64 << 20
	// copyPiece is how many bytes are copied before the context is looked at.
	copyPiece = 32 << 20
	// directTime bounds a backup for whose copy there is no room. It holds on to the pages of its moment, so that the
	// file grows with every write meanwhile.
	directTime = time.Minute
)

// errNoRoom is the reason why no copy is made.
var errNoRoom = errors.New("there is no room for a copy beside the file")

// Backup writes a copy of the file as it is at this moment, which Open can open, while reading and writing go on. The
// copy is first made beside the file, which is quick, and goes to w from there: a slow w keeps nobody waiting and
// nothing from being freed. It has no name and mode 0600, and goes with the call. Where there is no room for it, w is
// given the file itself for directTime at most. kv.ErrUnavailable where too many are made already.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	select {
	case db.copies <- struct{}{}:
		defer func() { <-db.copies }()
	default:
		return fmt.Errorf("%w: %d backups are being read already; try again when one of them has ended",
			kv.ErrUnavailable, maxCopies)
	}
	to := &backupWriter{ctx: ctx, w: w}
	copied, err := db.copyBeside(ctx)
	if err == nil {
		defer copied.Close()
		if _, err = io.Copy(to, copied); to.err != nil {
			return fmt.Errorf("writing the copy: %w", to.err)
		}
		return err
	}
	if !errors.Is(err, errNoRoom) && !isFull(err) {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, db.directTime, fmt.Errorf("%w, and reading the file itself took "+
		"longer than %s: make room in %s, or read faster",
		errNoRoom, db.directTime, filepath.Dir(db.path)))
	defer cancel()
	to.ctx = ctx
	err = db.view(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	if to.err != nil {
		return fmt.Errorf("writing the copy: %w", to.err)
	}
	return err
}

// copyBeside copies the file to one without a name, at its beginning. errNoRoom where it would take the room of
// those who write.
func (db *DB) copyBeside(ctx context.Context) (_ *os.File, err error) {
	f, err := nameless(db.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRoom, err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if room, roomErr := db.room(f); roomErr == nil {
		err = db.view(ctx, func(tx *bbolt.Tx) error {
			if room < tx.Size()+copyReserve {
				return fmt.Errorf("%w: it has %d bytes, and there are %d", errNoRoom, tx.Size(), room)
			}
			return nil
		})
	}
	if err == nil {
		err = db.CopyTo(ctx, f)
	}
	return f, err
}

// CopyTo writes a copy of the file as it is at this moment to an empty file, and leaves that at its beginning.
func (db *DB) CopyTo(ctx context.Context, f *os.File) error {
	to := &copier{ctx: ctx, to: f, from: db.file}
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	if to.err != nil {
		return fmt.Errorf("copying %s: %w", db.path, to.err)
	}
	return err
}

func copyPattern(path string) string { return filepath.Base(path) + ".copy-*" }

// nameless makes a file beside the path that has no name by the time it is written to.
func nameless(path string) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), copyPattern(path))
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// copier takes what bbolt's WriteTo writes. The pages, which WriteTo reads from the file, it copies itself: the kernel
// does that without passing them through us, and on file systems that can, without copying anything.
type copier struct {
	ctx      context.Context
	to, from *os.File
	at       int64
	err      error // bbolt passes on no more than its text
}

func (c *copier) Write(p []byte) (n int, err error) {
	if c.err = c.ctx.Err(); c.err == nil {
		n, c.err = c.to.WriteAt(p, c.at)
		c.at += int64(n)
	}
	return n, c.err
}

// ReadFrom copies as many bytes as the reader gives, from the same place of the file.
func (c *copier) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for n < limited.N {
		if c.err = c.ctx.Err(); c.err != nil {
			return n, c.err
		}
		more, err := copyRange(c.to, c.from, c.at, min(copyPiece, limited.N-n))
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

// backupWriter ends with its context, and keeps the error it gave: bbolt passes on no more than its text.
type backupWriter struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (w *backupWriter) Write(p []byte) (n int, err error) {
	if w.ctx.Err() != nil {
		w.err = context.Cause(w.ctx)
	} else {
		n, w.err = w.w.Write(p)
	}
	return n, w.err
}
