//go:build !linux

package porttest

import "net"

// Hold gives a host and port that was free just now. Other systems do not let a server listen where another socket is
// bound.
func Hold() (address string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}
