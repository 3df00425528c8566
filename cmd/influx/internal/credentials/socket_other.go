//go:build !linux

package credentials

import (
	"errors"
	"net"
)

var errLinux = errors.New("systemd, and so this command, is for Linux")

func listenPrivate(string) (*net.UnixListener, error) { return nil, errLinux }

func mayAsk(*net.UnixConn) error { return errLinux }
