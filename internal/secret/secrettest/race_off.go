//go:build !race

package secrettest

// How many names a large change has that comes beside readers or other writers.
const (
	swapped = 2000
	purged  = 600
	mixed   = 200
)
