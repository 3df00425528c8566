package render

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"strongroom/internal/disk"
)

// target is the file that is written. What no flag says stays as it is.
type target struct {
	path     string
	mode     fs.FileMode
	hasMode  bool
	uid, gid int // -1: as it is
}

// newFileMode is that of a file which was not there.
const newFileMode = 0o600

func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 12)
	if err != nil || n > 0o777 || n&0o400 == 0 {
		return 0, errors.New("a mode is three octal digits, such as 0640, with which the owner may read")
	}
	return fs.FileMode(n), nil
}

// parseOwner reads USER, USER:GROUP or :GROUP, by name or number.
func parseOwner(s string) (uid, gid int, err error) {
	uid, gid = -1, -1
	name, group, hasGroup := strings.Cut(s, ":")
	if name == "" && group == "" || hasGroup && group == "" {
		return 0, 0, errors.New("an owner is USER, USER:GROUP or :GROUP")
	}
	if name != "" {
		if uid, err = idOf(name, func() (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", fmt.Errorf("there is no user %q here", name)
			}
			return u.Uid, nil
		}); err != nil {
			return 0, 0, err
		}
	}
	if group != "" {
		gid, err = idOf(group, func() (string, error) {
			g, err := user.LookupGroup(group)
			if err != nil {
				return "", fmt.Errorf("there is no group %q here", group)
			}
			return g.Gid, nil
		})
	}
	return uid, gid, err
}

func idOf(name string, look func() (string, error)) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	text, err := look()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// write puts the text into the file, whole or not at all, unless it is there already, and says whether it did. Only
// its user can read it until it has its owner and mode.
func (t target) write(text []byte) (changed bool, err error) {
	mode, uid, gid := fs.FileMode(newFileMode), t.uid, t.gid
	old, err := os.Lstat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case !old.Mode().IsRegular():
		return false, fmt.Errorf("%s is no plain file: name the file itself", t.path)
	default:
		mode = old.Mode().Perm()
		if sys, ok := old.Sys().(*syscall.Stat_t); ok {
			uid, gid = orElse(uid, int(sys.Uid)), orElse(gid, int(sys.Gid))
			same := uid == int(sys.Uid) && gid == int(sys.Gid) && (!t.hasMode || t.mode == mode)
			// What cannot be read is written anew.
			if now, err := os.ReadFile(t.path); same && err == nil && bytes.Equal(now, text) {
				return false, nil
			}
		}
	}
	if t.hasMode {
		mode = t.mode
	}
	// One name for all times: what a crash leaves is removed the next time.
	next := filepath.Join(filepath.Dir(t.path), "."+filepath.Base(t.path)+".influx-new")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("there is no folder %s; make it first", filepath.Dir(t.path))
	}
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next)
		}
	}()
	_, err = f.Write(text)
	if err == nil && (uid >= 0 && uid != os.Geteuid() || gid >= 0 && gid != os.Getegid()) {
		if err = f.Chown(uid, gid); err != nil {
			err = fmt.Errorf("cannot give it its owner: %w", err)
		}
	}
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	if err = os.Rename(next, t.path); err != nil {
		return false, err
	}
	return true, disk.SyncFolder(filepath.Dir(t.path))
}

func orElse(id, other int) int {
	if id < 0 {
		return other
	}
	return id
}
