//go:build !linux

package copying

import (
	"errors"
	"os"
)

// copyRange copies a part of a file to the same place of another.
func copyRange(to, from *os.File, at, n int64) (int64, error) { return copyBytes(to, from, at, n) }

// Room would be how much room there is; it is not asked for here.
func Room(*os.File) (int64, error) { return 0, errors.ErrUnsupported }
