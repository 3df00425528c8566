//go:build !linux

package launch

import "syscall"

func diesWithUs() *syscall.SysProcAttr { return nil }

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
