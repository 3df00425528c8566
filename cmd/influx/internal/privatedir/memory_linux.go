package privatedir

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// inMemory says whether the folder is on a file system that is in memory. (Swap is another matter: see docs/use.md.)
func inMemory(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, err
	}
	return st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC, nil
}

func writable(path string) bool { return unix.Access(path, unix.W_OK|unix.X_OK) == nil }

// ownSession keeps what a terminal sends to its processes away from the keeper.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
