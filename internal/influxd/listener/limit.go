package listener

import (
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// limitListener has so many connections open at a time; whoever comes then waits, in the kernel's queue, until one ends.
// Every connection takes a file descriptor, and without any left the server could not open its own files. (It is
// netutil.LimitListener of golang.org/x/net, with a word in the log.)
type limitListener struct {
	net.Listener
	slots chan struct{} // holds one for each open connection
	done  chan struct{} // closed with the listener
	once  sync.Once
	log   *slog.Logger
	said  time.Time // the last word, used by Accept alone
}

// fullEvery is how often the log mentions that all connections are taken.
const fullEvery = time.Minute

// ownFiles is how many of the process's file descriptors are not for clients: data, logs, connections to Vault.
const ownFiles = 128

// limited bounds the connections of the listener; 0 leaves it as it is. A process that may open fewer files has fewer.
func limited(l net.Listener, connections int, log *slog.Logger) net.Listener {
	if connections == 0 {
		return l
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && uint64(files.Cur) < uint64(connections)+ownFiles {
		fewer := max(int(files.Cur)-ownFiles, int(files.Cur)/2, 1)
		log.Warn("this process may open few files, and takes fewer connections than --http-max-connections says; raise the limit (ulimit -n, LimitNOFILE)",
			"files", files.Cur, "connections", fewer)
		connections = fewer
	}
	return &limitListener{Listener: l, slots: make(chan struct{}, connections), done: make(chan struct{}), log: log}
}

// Accept waits until there is room for a connection, then for one.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		if now := time.Now(); now.Sub(l.said) >= fullEvery {
			l.said = now
			l.log.Warn("as many connections are open as may be; more wait until one ends (--http-max-connections)", "connections", cap(l.slots))
		}
		select {
		case l.slots <- struct{}{}:
		case <-l.done:
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close closes the listener, and not its connections.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
