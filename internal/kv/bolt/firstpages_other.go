//go:build !unix

package bolt

import "os"

type firstPages struct{}

func mapFirstPages(*os.File, int) *firstPages { return &firstPages{} }

func (p *firstPages) touch() int { return 0 }
