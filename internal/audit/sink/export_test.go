package sink

// What the tests from outside need.
var OnSmallDisk = onSmallDisk

const (
	ReserveSize = reserveSize
	ReserveStep = reserveStep
	LeastStep   = leastStep
)
