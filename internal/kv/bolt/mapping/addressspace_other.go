//go:build !linux

package mapping

// addressSpace is how much of it the process may use; 0 where nothing is known to limit it.
func addressSpace() uint64 { return 0 }
