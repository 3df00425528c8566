//go:build !unix

package mapping

import "os"

// FirstPages are left to themselves here.
type FirstPages struct{}

// NewFirstPages does nothing.
func NewFirstPages(*os.File, int) *FirstPages { return &FirstPages{} }

// Touch does nothing.
func (p *FirstPages) Touch() int { return 0 }
