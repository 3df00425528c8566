//go:build !linux

package privatedir

import (
	"os"
	"syscall"
)

// inMemory is not known here: every folder counts as one on a disk.
func inMemory(path string) (bool, error) {
	_, err := os.Stat(path)
	return false, err
}

func writable(string) bool { return false }

func ownSession() *syscall.SysProcAttr { return nil }
