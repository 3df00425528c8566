//go:build !linux

package launch

import "syscall"

func diesWithUs() *syscall.SysProcAttr { return nil }
