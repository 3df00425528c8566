package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"strongroom/internal/disk"
	"strongroom/internal/kv/bolt/copying"
	"strongroom/internal/kv/bolt/folder"
	"strongroom/internal/kv/bolt/format"
	"strongroom/internal/kv/bolt/mapping"
)

// lockTimeout is how long Open waits for a process that is just ending to let go of the file.
const lockTimeout = time.Second

// ErrInUse is Open's for a file that another process has open.
var ErrInUse = folder.ErrInUse

// Options are what Open can be told; the zero value is what a server wants.
type Options struct {
	// MaxSize, where it is positive, is the size in bytes above which the file does not grow: a transaction that would
	// need more gives kv.ErrFull.
	MaxSize int

	held    bool // by Hold
	unnoted bool // nobody else looks for who has the file
}

// Open opens the file, or makes it, with mode 0600 and its folder with 0700, where there is none. An empty file counts
// as none: that is what a first start leaves behind when it is killed at the right moment. Any other file that is not
// ours is refused and left as it is, unchanged in every byte. Where the file system is read-only, the file is open for
// reading: transactions give kv.ErrFault.
func Open(path string, opts Options) (*DB, error) {
	db, err := open(path, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	return db, nil
}

func open(path string, opts Options) (*DB, error) {
	created, err := prepare(path)
	if err != nil {
		return nil, err
	}
	var lock folder.Lock
	if !opts.held {
		if lock, err = folder.Share(path); err != nil {
			return nil, err
		}
	}
	place, _, err := folder.Place(path)
	if err != nil {
		place = path
	}
	db, err := openLocked(path, place, opts, created)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	db.lock = lock
	if lock.Held() {
		removeLeftovers(path) // nobody restores at the moment
	}
	go db.write()
	return db, nil
}

// openLocked opens the file, which is at the place, when its folder is locked.
func openLocked(path, place string, opts Options, created bool) (*DB, error) {
	if !created {
		if err := inspect(path); err != nil {
			return nil, err
		}
	}
	readOnly := !created && isReadOnly(path)
	b, file, err := openBolt(path, opts, readOnly)
	if err != nil {
		return nil, openError(path, err)
	}
	if !opts.unnoted {
		folder.WriteHolder(place)
	}
	opened, err := file.Stat()
	if err == nil && !readOnly {
		err = guard(func() error { return initialise(b) })
	}
	if err == nil && created {
		err = disk.SyncFolder(filepath.Dir(place))
	}
	if err != nil {
		folder.RemoveHolder(place)
		b.Close()
		return nil, err
	}
	db := &DB{path: path, place: place, bolt: b, file: file, opened: opened, recent: newRecent(),
		first:  mapping.NewFirstPages(file, b.Info().PageSize),
		copies: make(chan struct{}, maxCopies), directTime: directTime, room: copying.Room, update: b.Update,
		queue: make(chan *request, maxBatch), done: make(chan struct{}),
		watchers: watchers{all: make(map[*watcher]bool)}, holds: heldNames{held: make(map[string]chan struct{})}}
	err = guard(func() error {
		return b.View(func(tx *bbolt.Tx) (err error) {
			db.watchers.rev, err = revision(tx.Bucket(format.MetaBucket))
			return err
		})
	})
	if err != nil {
		folder.RemoveHolder(place)
		b.Close()
		return nil, err
	}
	if readOnly {
		db.state.fails(fmt.Errorf("%s: %w", path, errReadOnly))
	}
	return db, nil
}

// isReadOnly reports whether the file is on a file system that cannot be written to.
func isReadOnly(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, syscall.EROFS)
	}
	f.Close()
	return false
}

// openBolt opens the file with bbolt, with the largest map there can be, and gives bbolt's own file with it.
func openBolt(path string, opts Options, readOnly bool) (b *bbolt.DB, file *os.File, err error) {
	var size int64
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	for _, mapped := range mapping.Sizes(size) {
		err = guard(func() (err error) {
			b, err = bbolt.Open(path, 0o600, &bbolt.Options{
				Timeout:         lockTimeout,
				FreelistType:    bbolt.FreelistMapType,
				InitialMmapSize: mapped,
				MaxSize:         opts.MaxSize,
				ReadOnly:        readOnly,
				NoStatistics:    true,
				OpenFile: func(path string, flag int, mode fs.FileMode) (_ *os.File, err error) {
					file, err = os.OpenFile(path, flag, mode)
					return file, err
				},
			})
			return err
		})
		if err != nil && file != nil {
			file.Close() // again, unless bbolt has ended before it could
		}
		if !errors.Is(err, syscall.ENOMEM) && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENODEV) &&
			!errors.Is(err, syscall.EAGAIN) {
			break
		}
	}
	return b, file, err
}

// prepare makes the folder and looks at what is at the path: it reports whether a new file is to be made.
func prepare(path string) (create bool, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, os.MkdirAll(filepath.Dir(path), 0o700)
	case err != nil:
		return false, err
	case info.IsDir():
		return false, errors.New("it is a folder; name a file in it")
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("it is not a file (%s)", info.Mode().Type())
	case info.Size() == 0:
		return true, os.Chmod(path, 0o600)
	}
	return false, nil
}

// inspect opens an existing file for reading only and refuses one that is not ours or not whole. bbolt itself would
// rewrite parts of a foreign file, and would end with a memory fault in a truncated one.
func inspect(path string) error {
	return guard(func() error {
		b, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
		if err != nil {
			return openError(path, err)
		}
		defer b.Close()
		return b.View(func(tx *bbolt.Tx) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if info.Size() < tx.Size() {
				return fmt.Errorf("it is cut off: %d bytes of %d; restore it from a backup", info.Size(), tx.Size())
			}
			_, err = identify(tx)
			return err
		})
	})
}

// identify tells whether the file is ours, fresh (not one bucket yet) or neither.
func identify(tx *bbolt.Tx) (fresh bool, err error) {
	var names []string
	if err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		names = append(names, string(name))
		return nil
	}); err != nil {
		return false, err
	}
	if len(names) == 0 {
		return true, nil
	}
	var marker []byte
	meta := tx.Bucket(format.MetaBucket)
	if meta != nil {
		marker = meta.Get(format.FormatKey)
	}
	if err := format.Check(names, marker, tx.Bucket(format.DataBucket) != nil); err != nil {
		return false, err
	}
	_, err = revision(meta)
	return false, err
}

// initialise makes the buckets of a fresh file and leaves one that is ours as it is. It looks again, now that the file
// is locked: another process may have made it since.
func initialise(b *bbolt.DB) error {
	var fresh bool
	if err := b.View(func(tx *bbolt.Tx) (err error) {
		fresh, err = identify(tx)
		return err
	}); err != nil || !fresh {
		return err
	}
	return b.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(format.DataBucket); err != nil {
			return err
		}
		meta, err := tx.CreateBucket(format.MetaBucket)
		if err != nil {
			return err
		}
		if err := meta.Put(format.FormatKey, format.Marker()); err != nil {
			return err
		}
		return meta.Put(format.RevisionKey, binary.BigEndian.AppendUint64(nil, 0))
	})
}

// openError says in our words what bbolt found.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%w by %s; stop that one first, or name another file with --bolt-path", ErrInUse,
			folder.Holder(path))
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum),
		errors.Is(err, berrors.ErrVersionMismatch), strings.Contains(err.Error(), "file size too small"):
		return fmt.Errorf("it is not a database, or it is damaged (%w), and was left untouched; restore it from a "+
			"backup, or name another file with --bolt-path", err)
	}
	return err
}
