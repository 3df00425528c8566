// Package disk makes files last, and puts them in their places whole. File systems differ in what they can: some have
// no hard links (SMB, exFAT, some of FUSE), some cannot sync a folder. Nothing here needs either.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SyncFolder makes the names of a folder as lasting as what is in its files. A file system that cannot sync a folder
// keeps names in its own way, and that is no error.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) ||
		errors.Is(err, syscall.EBADF) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// link is os.Link; a test puts one in its place that fails as on a file system without hard links.
var link = os.Link

// PutNew gives a file, which is whole and synced, a name that is not taken, in the same folder, and makes that last. It
// is fs.ErrExist where there is something of that name; the file keeps its own then, and has lost it otherwise. A crash
// leaves nothing under the new name, or the whole file, or, where there are no hard links, an empty one.
func PutNew(file, name string) error {
	err := link(file, name)
	switch {
	case err == nil:
		// Another process that finds the name beside the place may have removed it already.
		if err = os.Remove(file); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	case !errors.Is(err, fs.ErrExist):
		var taken *os.File
		if taken, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			if err = errors.Join(taken.Close(), os.Rename(file, name)); err != nil {
				return errors.Join(err, os.Remove(name))
			}
		}
	}
	if err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(name))
}

// Replace puts a file, which is whole and synced, in the place of another, which it keeps under the name aside, all in
// one folder. At every moment the place holds one or the other; where there are no hard links, there is a moment at
// which it holds nothing, and a crash then leaves the former file aside. fs.ErrExist where the name aside is taken.
func Replace(place, file, aside string) error {
	err := link(place, aside)
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case err == nil:
		if err := os.Rename(file, place); err != nil {
			return errors.Join(err, os.Remove(aside))
		}
	default:
		if _, err := os.Lstat(aside); err == nil {
			return &fs.PathError{Op: "rename", Path: aside, Err: fs.ErrExist}
		}
		if err := os.Rename(place, aside); err != nil {
			return err
		}
		if err := os.Rename(file, place); err != nil {
			return errors.Join(err, os.Rename(aside, place))
		}
	}
	return SyncFolder(filepath.Dir(place))
}
