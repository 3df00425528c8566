//go:build race

package secrettest

// swapped is how many names a large change swaps while readers list: enough for several transactions or journal parts. The
// race detector makes more of them minutes, and finds nothing more.
const swapped = 600
