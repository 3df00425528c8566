package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The process that has the file open writes its number beside it, in <place>.pid, for the message of a second one. It
// is the lock on the database that keeps the second one out, never this file: one left behind by a killed process, or
// one that could not be written, does no harm.

const holderSuffix = ".pid"

func holderPath(place string) string { return place + holderSuffix }

// OfHolder gives the file whose note a name is, and any other name as it is.
func OfHolder(name string) string { return strings.TrimSuffix(name, holderSuffix) }

// HolderPattern is what the note of a place is named while it is written.
func HolderPattern(place string) string { return filepath.Base(holderPath(place)) + "-*" }

// WriteHolder notes this process for the file of a place. It goes over a new file and a rename, so that it never writes
// through a link or into something that happens to have the name, and a reader sees it whole.
func WriteHolder(place string) {
	f, err := os.CreateTemp(filepath.Dir(place), HolderPattern(place))
	if err != nil {
		return
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), holderPath(place))
	}
	if err != nil {
		os.Remove(f.Name())
	}
}

// RemoveHolder removes the note.
func RemoveHolder(place string) { os.Remove(holderPath(place)) }

// Holder names the process that has the file of a path: its number where the note is there and there is such a process.
func Holder(path string) string {
	if place, _, err := Place(path); err == nil {
		path = place
	}
	if b, err := os.ReadFile(holderPath(path)); err == nil {
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil && pid > 0 && syscall.Kill(pid, 0) != syscall.ESRCH {
			return fmt.Sprintf("another influxd (process %d)", pid)
		}
	}
	return "another process"
}
