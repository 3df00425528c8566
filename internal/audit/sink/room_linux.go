package sink

import "golang.org/x/sys/unix"

// preallocate keeps n bytes from the offset on for the file, whose size stays as it is.
func preallocate(f preallocated, offset, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, offset, n)
		if err != unix.EINTR {
			return err
		}
	}
}
