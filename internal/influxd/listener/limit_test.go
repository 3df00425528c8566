package listener

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
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
	l := limited(inner, limits{connections: 2}, nil, slog.New(slog.NewTextHandler(&said, nil)))
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
			if err == nil {
				connState(conn, http.StateActive)
			}
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
	l := limited(inner, limits{connections: int(files.Cur)}, nil, slog.New(slog.NewTextHandler(&said, nil)))
	defer l.Close()
	if n := l.(*limitListener).connections; n < 1 || n >= int(files.Cur) || !strings.Contains(said.String(),
		"raise the limit") {
		t.Errorf("%d connections of %d files are left to clients, and the log says %q", n, files.Cur, said.String())
	}
}

// TestIdleConnectionsMakeRoom has one client keep as many connections open as it can, without a request: others are
// served at once, the client itself is too, and a request under way is not cut off.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	for name, flags := range map[string][]string{
		"one client's share": {"--http-max-connections=64", "--http-max-client-connections=16"},
		"all of them":        {"--http-max-connections=16", "--http-max-client-connections=0"},
		"a proxy has no share": {"--http-max-connections=64", "--http-max-client-connections=16",
			"--trusted-proxies=127.0.0.1"},
		"there are no such limits": {"--http-max-connections=0", "--http-max-client-connections=0"},
	} {
		t.Run(name, func(t *testing.T) {
			going := make(chan struct{})
			began := make(chan struct{})
			url, _, _ := serving(t, settings(t, append(flags, "--http-bind-address=127.0.0.1:0")...),
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						close(began)
						<-going
					}
					_, _ = w.Write([]byte("ok"))
				}))
			get := func(path string) error {
				res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true},
					Timeout: 5 * time.Second}).Get(url + path)
				if err != nil {
					return err
				}
				return res.Body.Close()
			}
			slow := make(chan error, 1)
			go func() { slow <- get("/slow") }()
			<-began
			addr := strings.TrimPrefix(url, "http://")
			for i := range 100 { // half of them idle after a request, half without any
				conn, err := net.Dial("tcp", addr)
				succeed(t, err)
				defer conn.Close()
				if i%2 == 0 {
					_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
					succeed(t, err)
					succeed(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
					if _, err := conn.Read(make([]byte, 1024)); err != nil {
						t.Fatalf("connection %d: %v", i, err)
					}
				}
			}
			for range 20 {
				if err := get("/"); err != nil {
					t.Fatal(err)
				}
			}
			close(going)
			if err := <-slow; err != nil {
				t.Errorf("a request under way: %v", err)
			}
		})
	}
}

// TestBusyClientIsRefused: a client whose connections are all at work gets no more, and others do.
func TestBusyClientIsRefused(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	succeed(t, err)
	l := limited(inner, limits{connections: 8, share: 2}, nil, slog.New(slog.DiscardHandler))
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connState(c, http.StateActive)
			accepted <- c
		}
	}()
	dial := func(from string) net.Conn {
		t.Helper()
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", inner.Addr().String())
		succeed(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range 2 {
		dial("127.0.0.1")
		<-accepted
	}
	third := dial("127.0.0.1")
	succeed(t, third.SetReadDeadline(time.Now().Add(5*time.Second)))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a third connection of one client: %v", err)
	}
	dial("127.0.0.2")
	other := <-accepted
	succeed(t, other.Close())
	if n := len(l.(*limitListener).of); n != 1 {
		t.Errorf("%d clients are counted, one has connections", n)
	}
}
