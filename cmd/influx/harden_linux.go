package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory, and with it the token and values, out of core files and from debuggers of the same
// user. A program that is run in our place, or by us, is as it would be without us: the kernel takes this back then.
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot forbid dumps of the process's memory: %w", err)
	}
	return nil
}
