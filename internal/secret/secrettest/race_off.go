//go:build !race

package secrettest

const swapped = 2000
