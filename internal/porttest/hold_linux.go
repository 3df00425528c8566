package porttest

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Hold gives a host and port that nobody else gets until it is released. Whoever listens there sets SO_REUSEADDR, as
// Go's listeners do.
func Hold() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", nil, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", nil, os.NewSyscallError("getsockname", err)
	}
	at, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return "", nil, fmt.Errorf("a socket bound to an IPv4 address has the address %v", name)
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(at.Port)), func() { _ = syscall.Close(fd) }, nil
}
