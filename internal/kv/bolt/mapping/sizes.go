// Package mapping is how the data file is mapped into memory: how much of the address space it takes, and whether what
// bbolt reads under a lock can be read at all.
package mapping

import "math"

// How much of the file is mapped from the start, in bytes, and how many times its size at least. That costs address
// space, and no memory. A file that outgrows its map is mapped anew, and for that every write waits until those who
// read have ended: the map is so large that it does not come to that.
const (
	usual    = 64 << 30
	times    = 4
	smallest = 1 << 30
)

// Sizes are the sizes of map to try for a file of so many bytes, the best first. Where the process may not use so much
// address space, or the file system maps no more of a file than there is, a smaller one does.
func Sizes(file int64) []int { return sizes(file, addressSpace()) }

func sizes(file int64, addressSpace uint64) []int {
	size := uint64(max(usual, times*file))
	if addressSpace > 0 {
		size = min(size, addressSpace/4)
	}
	var all []int
	for size = min(size, math.MaxInt/2); size >= smallest; size /= 4 {
		all = append(all, int(size))
	}
	return append(all, 0) // as much as there is
}
