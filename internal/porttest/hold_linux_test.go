package porttest

import (
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
)

// TestHeld has a server come, go and come again, while connections go out that could take no port but its own.
func TestHeld(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := Address(t)
	for range 3 {
		if c, err := dial(t, other.Addr().String(), address); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Fatalf("a connection goes out from the address that is held (%v): %v", c, err)
		}
		if c, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("nobody listens, and it is answered (%v): %v", c, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		near, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		far.Close() // first, so that the port stays with the system for a while
		near.Close()
		l.Close()
	}
	for range 100 { // others may be quicker
		free, release, err := Hold()
		if err != nil {
			t.Fatal(err)
		}
		release()
		if c, err := dial(t, other.Addr().String(), free); err == nil {
			c.Close()
			return
		}
	}
	t.Error("no connection goes out from an address that is held no more, either")
}

// ipLocalPortRange is IP_LOCAL_PORT_RANGE of ip(7): which ports a connection may go out from.
const ipLocalPortRange = 51

// dial connects to an address from the port of another, or not at all. Before Linux 6.3 one cannot ask for that.
func dial(t *testing.T, to, from string) (net.Conn, error) {
	t.Helper()
	_, text, err := net.SplitHostPort(from)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipLocalPortRange, port<<16|port)
		})
		return errors.Join(err, failed)
	}}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("this kernel cannot choose a connection's port")
	}
	return c, err
}
