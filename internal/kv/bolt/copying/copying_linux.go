package copying

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// copyRange copies a part of a file to the same place of another. It may copy less than it is
// asked for, and not nothing.
func copyRange(to, from *os.File, at, n int64) (int64, error) {
	fromAt, toAt := at, at
	done, err := unix.CopyFileRange(int(from.Fd()), &fromAt, int(to.Fd()), &toAt, int(n), 0)
	switch {
	case err == nil && done > 0:
		return int64(done), nil
	case err == nil, errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EIO):
		return copyBytes(to, from, at, n) // which tells, too, what is wrong with the disk
	case errors.Is(err, unix.EINTR):
		return 0, nil
	}
	return 0, err
}

// Room is how much room there is where the file is, for those who are not root.
func Room(f *os.File) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, err
	}
	if s.Bavail > uint64(math.MaxInt64/s.Bsize) {
		return math.MaxInt64, nil
	}
	return int64(s.Bavail) * s.Bsize, nil
}
