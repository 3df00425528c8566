// Package folder tells who has the data file in a folder: by a lock on the folder, and by a note of the process.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse is for a file that another process has open.
var ErrInUse = errors.New("it is in use")

// Place is where the file of a path is, or would be: what the path leads to where it is a link.
func Place(path string) (place string, fresh bool, err error) {
	place, err = filepath.EvalSymlinks(path)
	if err == nil {
		return place, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	for range 40 { // a link to what is not there
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path, true, nil
}

// Lock is a lock on a folder. Its zero value is none.
type Lock struct{ folder *os.File }

// Held reports whether there is a lock: a file system may have none on folders.
func (l Lock) Held() bool { return l.folder != nil }

// Close gives the lock back.
func (l Lock) Close() error {
	if l.folder == nil {
		return nil
	}
	return l.folder.Close()
}

// Whoever has a data file open also has a shared lock on its folder, which stays when the file is removed or
// replaced. One who is about to replace the file takes it alone. Where a file system has no locks on folders,
// that on the file is all.

// Share locks the folder of a file for a process that has it open, as others may; none where it cannot be locked.
// ErrInUse where somebody is about to replace the file.
func Share(path string) (Lock, error) { return lock(path, syscall.LOCK_SH) }

// Alone locks the folder of a file for one who is about to replace it; none where it cannot be locked. ErrInUse where
// others have it.
func Alone(path string) (Lock, error) { return lock(path, syscall.LOCK_EX) }

func lock(path string, how int) (Lock, error) {
	place, _, err := Place(path)
	if err != nil {
		return Lock{}, nil
	}
	folder, err := os.Open(filepath.Dir(place))
	if err != nil {
		return Lock{}, nil
	}
	err = syscall.Flock(int(folder.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		return Lock{folder}, nil
	}
	folder.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return Lock{}, nil
	}
	if how == syscall.LOCK_EX {
		return Lock{}, fmt.Errorf("%s: %w by %s, which has data in this folder; stop that one first",
			filepath.Dir(place), ErrInUse, Holder(path))
	}
	return Lock{}, fmt.Errorf("%w: %s is being restored; start again when that is done", ErrInUse, place)
}
