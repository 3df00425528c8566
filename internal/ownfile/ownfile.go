// Package ownfile knows what others may do with the server's files, and takes it from them where the files are the
// server's own. The rule for a file with a secret is PostgreSQL's for its private key (be-secure-common.c,
// check_ssl_key_file_permissions): one of the server's own user is closed to all others; one of root may be read by a
// group, which is how secrets reach a process through a group of its own (Kubernetes, systemd, Debian's ssl-cert).
package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// user is whose process this is; a test is somebody else.
var user = os.Geteuid

func owner(info fs.FileInfo) (uid int, known bool) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), true
	}
	return 0, false
}

// Secret says why a file that holds a secret must not be used, with what to do about it; nil where it may be.
func Secret(path string, info fs.FileInfo) error {
	mode := info.Mode().Perm()
	uid, known := owner(info)
	me := user()
	switch {
	case known && uid != me && uid != 0 && me != 0:
		return fmt.Errorf("belongs to another user (ID %d), who can change it: run `chown %d %s`, or let root own it",
			uid, me, path)
	case known && uid == 0 && me != 0:
		if mode&0o037 != 0 {
			return fmt.Errorf("can be read or written by others (mode %04o): run `chmod 640 %s` as root (in "+
				"Kubernetes: defaultMode: 0440, and fsGroup), and think of who has read it", mode, path)
		}
	case mode&0o077 != 0:
		return fmt.Errorf("can be read or written by others (mode %04o): run `chmod 600 %s`, and think of who "+
			"has read it", mode, path)
	}
	return nil
}

// CloseSecret takes what others may do with a file that holds a secret from them, where it is ours. It reports what its
// mode was, 0 where nothing was to be done or can be: Secret tells that.
func CloseSecret(path string) (was fs.FileMode) { return restrict(path, 0o077) }

// restrict takes bits away from a file or folder of ours.
func restrict(path string, bits fs.FileMode) (was fs.FileMode) {
	// By the open file: what the path leads to may change meanwhile. O_NONBLOCK: a named pipe must not be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !plain(info) || info.Mode().Perm()&bits == 0 {
		return 0
	}
	if uid, known := owner(info); !known || uid != user() {
		return 0
	}
	if f.Chmod(info.Mode().Perm()&^bits|info.Mode()&(fs.ModeSticky|fs.ModeSetgid)) != nil {
		return 0
	}
	return info.Mode().Perm()
}

// Guard sees to it that nobody but the server's user, its group and root can change a file or what has its name: it
// takes from others what they may write, of the file, of its folder and of the one that a link leads to, where those
// are ours, and tells what it took.
// The error says what cannot be set right, and what to do. A file that is not there yet is no error.
func Guard(path string) (changed []string, err error) {
	all := []string{path, filepath.Dir(path)}
	// Where the name is a link, also where it leads: who can change that folder can put another file there.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		if dir := filepath.Dir(target); dir != all[1] {
			all = append(all, dir)
		}
	}
	for _, p := range all {
		if was := restrict(p, writableByAll(p)); was != 0 {
			changed = append(changed, fmt.Sprintf("%s could be written by everybody (mode %04o), which was taken "+
				"from them; think of who has changed it", p, was))
		}
		info, err := os.Stat(p)
		if err != nil || !plain(info) {
			continue // it is made, or whoever opens it says what is wrong
		}
		if info.Mode().Perm()&writableByAll(p) != 0 {
			return changed, fmt.Errorf("%s can be written by everybody (mode %04o), and is not this user's to be set "+
				"right: run `chmod o-w %s`", p, info.Mode().Perm(), p)
		}
		if uid, known := owner(info); known && uid != user() && uid != 0 && user() != 0 {
			return changed, fmt.Errorf("%s belongs to another user (ID %d), who can replace what is in it: run "+
				"`chown %d %s`", p, uid, user(), p)
		}
	}
	return changed, nil
}

// plain reports whether it is a file or a folder. Devices and pipes are everybody's business.
func plain(info fs.FileInfo) bool { return info.Mode().IsRegular() || info.IsDir() }

// writableByAll are the bits that let everybody change it. In a sticky folder, such as /tmp, nobody can take away
// what is somebody else's.
func writableByAll(path string) fs.FileMode {
	if info, err := os.Stat(path); err == nil && info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return 0
	}
	return 0o002
}
