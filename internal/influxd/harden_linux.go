package influxd

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Harden keeps the process's memory, and with it keys and secrets, out of core files and from debuggers of the same
// user, and its files from other users. It is called once, first of all.
func Harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("cannot turn core files off: %w", err)
	}
	// A core file piped to a handler ignores the limit; this does not, and forbids ptrace and /proc/PID/mem too.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot forbid dumps of the process's memory: %w", err)
	}
	return nil
}
