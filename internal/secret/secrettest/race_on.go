//go:build race

package secrettest

// How many names a large change has that comes beside readers or other writers: enough for several transactions (128
// operations, two a name), and two parts of a journal over Vault (500 steps). The race detector makes more of them minutes,
// and finds nothing more.
const (
	swapped = 260
	purged  = 260
	mixed   = 100
)
