package listener

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLimitListener opens more connections than may be: the next is served as soon as one ends, and a closed listener
// waits for none.
func TestLimitListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	succeed(t, err)
	var said bytes.Buffer
	l := limited(inner, 2, slog.New(slog.NewTextHandler(&said, nil)))
	type accepted struct {
		conn net.Conn
		err  error
	}
	next := make(chan accepted)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			next <- accepted{conn, err}
			if err != nil {
				return
			}
		}
	}()
	var open []net.Conn
	for range 3 {
		client, err := net.Dial("tcp", l.Addr().String()) // the third one waits in the kernel
		succeed(t, err)
		defer client.Close()
	}
	for range 2 {
		a := <-next
		succeed(t, a.err)
		open = append(open, a.conn)
	}
	select {
	case a := <-next:
		t.Fatalf("a third connection was taken: %v", a)
	case <-time.After(50 * time.Millisecond):
	}
	succeed(t, open[0].Close())
	_ = open[0].Close() // a second time makes no more room
	a := <-next
	succeed(t, a.err)
	defer a.conn.Close()
	select {
	case a := <-next:
		t.Fatalf("closing one connection twice made room for two: %v", a)
	case <-time.After(50 * time.Millisecond):
	}
	succeed(t, l.Close())
	if a := <-next; !errors.Is(a.err, net.ErrClosed) {
		t.Errorf("a closed listener gives %v", a.err)
	}
	<-ended
	succeed(t, open[1].Close())
	if n := strings.Count(said.String(), "as many connections are open as may be"); n != 1 {
		t.Errorf("the log says so %d times:\n%s", n, said.String())
	}
}

// TestLimitWithFewFiles asks for more connections than the process may have files.
func TestLimitWithFewFiles(t *testing.T) {
	var files syscall.Rlimit
	succeed(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	succeed(t, err)
	var said bytes.Buffer
	l := limited(inner, int(files.Cur), slog.New(slog.NewTextHandler(&said, nil)))
	defer l.Close()
	if n := cap(l.(*limitListener).slots); n < 1 || n >= int(files.Cur) || !strings.Contains(said.String(), "raise the limit") {
		t.Errorf("%d connections of %d files are left to clients, and the log says %q", n, files.Cur, said.String())
	}
}
