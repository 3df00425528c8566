//go:build !linux

package sink

import "errors"

// preallocate is for Linux alone.
func preallocate(preallocated, int64, int64) error { return errors.ErrUnsupported }
