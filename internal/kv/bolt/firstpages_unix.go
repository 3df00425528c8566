//go:build unix

package bolt

import (
	"os"
	"runtime"
	"syscall"
)

// firstPages are the first two pages of the file, each of which bbolt reads while it holds a lock. A fault there would
// leave the lock locked, and hold whoever comes after for good; so they are touched before, where nothing is held.
type firstPages struct{ data []byte }

// mapFirstPages maps them once more, beside bbolt's own map. Where that cannot be done, there is nothing to touch.
func mapFirstPages(file *os.File, pageSize int) *firstPages {
	size := 2 * pageSize
	data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return &firstPages{}
	}
	p := &firstPages{data}
	// Not at Close: somebody may be about to touch them.
	runtime.AddCleanup(p, func(data []byte) { _ = syscall.Munmap(data) }, data)
	return p
}

// touch reads from each of the pages. Where one cannot be read, that is a memory fault. It is not inlined: what is read
// and not used need not be read.
//
//go:noinline
func (p *firstPages) touch() (sum int) {
	for i := 0; i < len(p.data); i += len(p.data) / 2 {
		sum += int(p.data[i])
	}
	return sum
}
