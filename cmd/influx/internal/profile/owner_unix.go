//go:build unix

package profile

import (
	"io/fs"
	"syscall"
)

// owner is whom the file belongs to.
func owner(info fs.FileInfo) (uid, gid int, known bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(s.Uid), int(s.Gid), true
}
