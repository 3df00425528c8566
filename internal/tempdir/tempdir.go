// Package tempdir makes folders for what passes, in the system's folder for that, and removes those of programs that
// were killed.
package tempdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const prefix = "strongroom-"

// young is how old a folder is at least before it counts as left behind: between its making and its lock is a moment.
const young = time.Minute

// New makes a folder of mode 0700 that goes with remove, or, where the program is killed, when the next of that
// name is made.
func New(name string) (path string, remove func() error, err error) {
	pattern := prefix + name + "-"
	sweep(os.TempDir(), pattern, time.Now())
	path, err = os.MkdirTemp("", pattern)
	if err != nil {
		return "", nil, err
	}
	held, err := lock(path)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(path))
	}
	return path, func() error { return errors.Join(os.RemoveAll(path), held.Close()) }, nil
}

// lock holds a folder for as long as the file is open, by a file in it: whoever has data there may lock the folder. The
// kernel lets go of it when the program ends, however it ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, "held"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes the folders of this user that New made with this name and nobody holds. What cannot be removed is tried
// again by the next.
func sweep(in, pattern string, now time.Time) {
	entries, err := os.ReadDir(in)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), pattern)
		if !ours || strings.Trim(number, "0123456789") != "" {
			continue
		}
		info, err := e.Info()
		if err != nil || !mine(info) || now.Sub(info.ModTime()) < young {
			continue
		}
		path := filepath.Join(in, e.Name())
		if f, err := lock(path); err == nil {
			_ = os.RemoveAll(path)
			_ = f.Close()
		}
	}
}

// mine reports whether it is a folder, and no link to one, that belongs to this user and is closed to others, as New
// makes it.
func mine(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && info.Mode().Perm() == 0o700 && int(sys.Uid) == os.Geteuid()
}
