package server

import "runtime"

// heapFloor is how much the heap may grow before garbage is collected, in bytes. The collector lets a heap grow to
// twice what is in use, and in use are a few megabytes: under load it would run some fifty times a second, and take a
// third of the processor. What is not collected at once is memory, so that this is no larger than it has to be.
const heapFloor = 16 << 20

// keepHeapFloor gives the collector a block to count that is never touched, and so is address space and not memory,
// until the function it returns is called.
func keepHeapFloor() func() {
	block := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(block) }
}
