package credentials

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"strongroom/cmd/influx/internal/usage"
)

// listenPrivate makes a socket that our own user alone may connect to, from its first moment on.
func listenPrivate(path string) (*net.UnixListener, error) {
	old := unix.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, usage.Mistake("cannot make the socket: %w", err)
	}
	return l, nil
}

// mayAsk refuses all but root and our own user: an address in the abstract namespace is anybody's to take.
func mayAsk(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return failed
	case peer == nil:
		return errors.New("it is not known who it is")
	case peer.Uid != 0 && int(peer.Uid) != os.Geteuid():
		return fmt.Errorf("it is the user with the ID %d", peer.Uid)
	}
	return nil
}
