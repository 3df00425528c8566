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
	"strongroom/internal/kv/bolt/copying"
)

// The bounds of backups.
const (
	// maxCopies is how many backups are made at a time. Each has a copy of the file beside it as
	// long as its reader takes.
	maxCopies = 4
	// directTime bounds a backup for whose copy there is no room. It holds on to the pages of its moment, so that the
	// file grows with every write meanwhile.
	directTime = time.Minute
)

// Backup writes a copy of the file as it is at this moment, which Open can open, while reading and writing go on. The
// copy is first made beside the file, which is quick, and goes to w from there: a slow w keeps nobody waiting and
// nothing from being freed. It has no name and mode 0600, and goes with the call. Where there is no room for it, w is
// given the file itself for directTime at most. kv.ErrManyBackups where too many are made already.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	select {
	case db.copies <- struct{}{}:
		defer func() { <-db.copies }()
	default:
		return kv.ErrManyBackups
	}
	to := &copying.Writer{Ctx: ctx, W: w}
	copied, err := db.copyBeside(ctx)
	if err == nil {
		defer copied.Close()
		if _, err = io.Copy(to, copied); to.Err != nil {
			return fmt.Errorf("writing the copy: %w", to.Err)
		}
		return err
	}
	if !errors.Is(err, copying.ErrNoRoom) && !isFull(err) {
		return err
	}
	to.Until = time.Now().Add(db.directTime)
	to.Late = fmt.Errorf("%w, and reading the file itself took longer than %s: make room in %s, or read faster",
		copying.ErrNoRoom, db.directTime, filepath.Dir(db.place))
	err = db.view(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	if to.Err != nil {
		return fmt.Errorf("writing the copy: %w", to.Err)
	}
	return err
}

// copyBeside copies the file to one without a name, at its beginning. copying.ErrNoRoom where it would take the room of
// those who write.
func (db *DB) copyBeside(ctx context.Context) (_ *os.File, err error) {
	f, err := copying.Nameless(db.place)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", copying.ErrNoRoom, err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if room, roomErr := db.room(f); roomErr == nil {
		err = db.view(ctx, func(tx *bbolt.Tx) error {
			if room < tx.Size()+copying.Reserve {
				return fmt.Errorf("%w: it has %d bytes, and there are %d", copying.ErrNoRoom, tx.Size(), room)
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
	to := copying.New(ctx, f, db.file)
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	if to.Err() != nil {
		return fmt.Errorf("copying %s: %w", db.path, to.Err())
	}
	return err
}
