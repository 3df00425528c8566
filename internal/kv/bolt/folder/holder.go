package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The process that has the file open writes its number beside it, in <path>.pid, for the message of a second one. It
// is the lock on the database that keeps the second one out, never this file: one left behind by a killed process, or
// one that could not be written, does no harm.

const holderSuffix = ".pid"

func holderPath(path string) string { return path + holderSuffix }

// OfHolder gives the file whose note a name is, and any other name as it is.
func OfHolder(name string) string { return strings.TrimSuffix(name, holderSuffix) }

// HolderPattern is what the note of a path is named while it is written.
func HolderPattern(path string) string { return filepath.Base(holderPath(path)) + "-*" }

// WriteHolder notes this process. It goes over a new file and a rename, so that it never writes through a link or into
// something that happens to have the name, and a reader sees it whole.
func WriteHolder(path string) {
	f, err := os.CreateTemp(filepath.Dir(path), HolderPattern(path))
	if err != nil {
		return
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), holderPath(path))
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// RemoveHolder removes the note.
func RemoveHolder(path string) { os.Remove(holderPath(path)) }

// Holder names the process that has the file: its number where the note is there and there is such a process.
func Holder(path string) string {
	if b, err := os.ReadFile(holderPath(path)); err == nil {
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil && pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH {
			return fmt.Sprintf("another influxd (process %d)", pid)
		}
	}
	return "another process"
}
