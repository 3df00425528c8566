//go:build !linux

package bolt

import (
	"errors"
	"os"
)

// copyRange copies a part of a file to the same place of another.
func copyRange(to, from *os.File, at, n int64) (int64, error) { return copyBytes(to, from, at, n) }

// roomFor would be how much room there is; it is not asked for here.
func roomFor(*os.File) (int64, error) { return 0, errors.ErrUnsupported }

// addressSpace is how much of it the process may use; 0 where nothing is known to limit it.
func addressSpace() uint64 { return 0 }
