//go:build unix

package mapping

import (
	"os"
	"runtime"
	"syscall"
)

// FirstPages are the first two pages of the file, each of which bbolt reads while it holds a lock. A fault there would
// leave the lock locked, and hold whoever comes after for good; so they are touched before, where nothing is held.
type FirstPages struct{ data []byte }

// NewFirstPages maps them once more, beside bbolt's own map. Where that cannot be done, there is nothing to touch.
func NewFirstPages(file *os.File, pageSize int) *FirstPages {
	size := 2 * pageSize
	data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return &FirstPages{}
	}
	p := &FirstPages{data}
	// Not at Close: somebody may be about to touch them.
	runtime.AddCleanup(p, func(data []byte) { _ = syscall.Munmap(data) }, data)
	return p
}

// Touch reads from each of the pages. Where one cannot be read, that is a memory fault. It is not inlined: what is read
// and not used need not be read.
//
//go:noinline
func (p *FirstPages) Touch() (sum int) {
	for i := 0; i < len(p.data); i += len(p.data) / 2 {
		sum += int(p.data[i])
	}
	return sum
}
