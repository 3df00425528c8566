// Package privatedir makes a folder for values that a program reads as files. It is its user's alone, in memory and on
// no disk, and goes with the command that made it, also where that is killed.
package privatedir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prefix begins the name of every such folder: the keeper removes no other.
const prefix = "influx-secrets-"

// keeperWord is the first argument of the keeper, a process of the same program.
const keeperWord = "__keep"

// Dir is such a folder.
type Dir struct {
	Path   string
	root   *os.Root
	keeper *exec.Cmd
	alive  io.Closer // the keeper ends when this is closed, by us or by our end
}

// New makes a folder below base, or in the first place that is in memory where base is empty. A base on a disk is
// refused, unless disk is true.
//
// A second process, the keeper, waits for the end of this one and removes the folder. It is needed only where this one
// is killed; only where the keeper is killed, too, is the folder left until the machine is restarted.
func New(base string, disk bool) (*Dir, error) {
	base, err := place(base, disk)
	if err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(base, prefix) // 0700
	if err != nil {
		return nil, fmt.Errorf("cannot make a private folder: %w", err)
	}
	d := &Dir{Path: path}
	if d.root, err = os.OpenRoot(path); err == nil {
		err = d.keep()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make a private folder: %w", err), d.Remove())
	}
	return d, nil
}

// place finds where the folder goes.
func place(base string, disk bool) (string, error) {
	if base != "" {
		if in, err := inMemory(base); err != nil {
			return "", fmt.Errorf("cannot use the folder %s: %w", base, err)
		} else if !in && !disk {
			return "", fmt.Errorf("the folder %s is on a disk, where deleted values can be found again; name one "+
				"in memory, or allow it with --disk", base)
		}
		return filepath.Abs(base)
	}
	for _, candidate := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if !filepath.IsAbs(candidate) {
			continue
		}
		if in, err := inMemory(candidate); err == nil && in && writable(candidate) {
			return candidate, nil
		}
	}
	return "", errors.New("no folder in memory: neither XDG_RUNTIME_DIR nor /dev/shm is one that may be " +
		"written to; name another with --dir, and add --disk where it is on a disk")
}

func (d *Dir) keep() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// It outlives whatever ends this command.
	d.keeper = exec.CommandContext(context.Background(), self, keeperWord, d.Path)
	d.keeper.Env = []string{} // neither the token nor anything else
	d.keeper.Dir = "/"
	d.keeper.SysProcAttr = ownSession()
	alive, err := d.keeper.StdinPipe()
	if err != nil {
		return err
	}
	d.alive = alive
	if err := d.keeper.Start(); err != nil {
		d.keeper = nil
		return err
	}
	return nil
}

// IsKeeper says whether the arguments are those of a keeper.
func IsKeeper(args []string) bool {
	return len(args) == 3 && args[1] == keeperWord && filepath.IsAbs(args[2]) &&
		strings.HasPrefix(filepath.Base(args[2]), prefix)
}

// Keep is the keeper's work: it waits for the end of in, and removes the folder.
func Keep(args []string, in io.Reader) int {
	_, _ = io.Copy(io.Discard, in)
	if os.RemoveAll(args[2]) != nil {
		return 1
	}
	return 0
}

// Write puts a file into the folder, in the place of one of that name, which is always whole.
// Only its user can read it.
func (d *Dir) Write(name, value string) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := d.root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	next := name + ".new"
	f, err := d.root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.root.Rename(next, name)
}

// Remove removes the folder with all that is in it.
func (d *Dir) Remove() error {
	var err error
	if d.root != nil {
		err = d.root.Close()
	}
	err = errors.Join(err, os.RemoveAll(d.Path))
	if d.alive != nil {
		_ = d.alive.Close()
	}
	if d.keeper != nil {
		_ = d.keeper.Wait()
	}
	return err
}
