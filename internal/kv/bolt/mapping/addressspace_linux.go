package mapping

import "golang.org/x/sys/unix"

// addressSpace is how much of it the process may use; 0 where nothing limits it.
func addressSpace() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return limit.Cur
}
