package listener

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"strongroom/internal/gather"
	"strongroom/internal/peer"
)

// limitListener has so many connections open at a time, and so many of one client. Every connection takes a file
// descriptor, and without any left the server could not open its own files.
//
// Where all are taken, the one that does nothing is closed for one that comes: one without a request, of the client who
// has most of them, the longest idle first. Where all are at work, whoever comes waits until one ends. A client who has
// its share gives up its own idle ones, and is refused where it has none.
type limitListener struct {
	net.Listener
	limits
	form dialect       // of what net/http refuses by itself; nil leaves it as it is
	done chan struct{} // closed with the listener
	once sync.Once
	log  *slog.Logger

	mu       sync.Mutex
	open     map[*limitedConn]bool
	of       map[string]int // by network
	freed    chan struct{}  // holds one: a connection has ended, or does nothing any more
	said     time.Time      // the last word about all, and about a client
	saidHalf time.Time
}

// limits are how many connections there may be in all and of one client, who is none of the proxies; 0 is no limit.
type limits struct {
	connections, share int
	proxies            peer.Proxies
}

// fullEvery is how often the log mentions that all connections are taken.
const fullEvery = time.Minute

// ownFiles is how many of the process's file descriptors are not for clients: data, logs, connections to Vault.
const ownFiles = 128

// limited bounds the connections of the listener. A process that may open fewer files has fewer.
func limited(l net.Listener, to limits, form dialect, log *slog.Logger) net.Listener {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && to.connections > 0 &&
		files.Cur < uint64(to.connections)+ownFiles {
		fewer := max(int(files.Cur)-ownFiles, int(files.Cur)/2, 1)
		log.Warn("this process may open few files, and takes fewer connections than --http-max-connections says; "+
			"raise the limit (ulimit -n, LimitNOFILE)",
			"files", files.Cur, "connections", fewer)
		to.connections = fewer
	}
	if to.connections > 0 && to.share > 0 {
		to.share = min(to.share, max(to.connections/2, 1))
	}
	return &limitListener{Listener: l, limits: to, form: form, done: make(chan struct{}), log: log,
		open: make(map[*limitedConn]bool), of: make(map[string]int), freed: make(chan struct{}, 1)}
}

// Accept waits for a connection, and until there is room for it.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limitedConn{Conn: conn, l: l, since: time.Now(), waits: true}
		host := peer.Host(conn.RemoteAddr().String())
		if conn.LocalAddr().Network() == "unix" {
			c.remote = local{} // the file's mode says who connects, and they have no address to count by
		} else if !l.proxies.Trusts(host) {
			c.network = peer.Network(host)
		}
		switch admitted, err := l.admit(c); {
		case err != nil:
			conn.Close()
			return nil, err
		case admitted:
			return c, nil
		}
		conn.Close()
	}
}

// admit waits until there is room for the connection. It reports false where its client has enough.
func (l *limitListener) admit(c *limitedConn) (bool, error) {
	for {
		l.mu.Lock()
		var victim *limitedConn
		crowded := c.network != "" && l.share > 0 && l.of[c.network] >= l.share
		full := l.connections > 0 && len(l.open) >= l.connections
		switch {
		case crowded:
			victim = l.idle(c.network)
			l.say(&l.saidHalf, "a client has as many connections as one may have; its idle ones are closed for new "+
				"ones, and others refused (--http-max-client-connections)", "client", c.network, "connections", l.share)
		case full:
			victim = l.idle("")
			l.say(&l.said, "as many connections are open as may be; idle ones are closed for new ones, which wait "+
				"where there are none (--http-max-connections)", "connections", l.connections)
		}
		if victim != nil {
			l.forget(victim)
		}
		if victim != nil || !crowded && !full {
			l.open[c] = true
			l.of[c.network]++
			l.mu.Unlock()
			if victim != nil {
				victim.Conn.Close()
			}
			return true, nil
		}
		l.mu.Unlock()
		if crowded {
			return false, nil
		}
		select {
		case <-l.freed:
		case <-l.done:
			return false, net.ErrClosed
		}
	}
}

// idle is the connection that may be closed for another, nil where there is none: the longest idle one of the network,
// or, where that is "", of the client who has most. The lock is held.
func (l *limitListener) idle(network string) (found *limitedConn) {
	for c := range l.open {
		if !c.waits || network != "" && c.network != network {
			continue
		}
		if found == nil || l.of[c.network] > l.of[found.network] ||
			l.of[c.network] == l.of[found.network] && c.since.Before(found.since) {
			found = c
		}
	}
	return found
}

// forget counts a connection no more. The lock is held.
func (l *limitListener) forget(c *limitedConn) {
	if !l.open[c] {
		return
	}
	delete(l.open, c)
	if l.of[c.network]--; l.of[c.network] <= 0 {
		delete(l.of, c.network)
	}
	l.wake()
}

func (l *limitListener) wake() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// say tells something once a while. The lock is held.
func (l *limitListener) say(last *time.Time, text string, args ...any) {
	if now := time.Now(); now.Sub(*last) >= fullEvery {
		*last = now
		l.log.Warn(text, args...)
	}
}

// Close closes the listener, and not its connections.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	l       *limitListener
	network string // whose it is; "" of a trusted proxy, and of a Unix socket
	remote  net.Addr
	writes  gather.Writes

	// Below: guarded by the listener's lock.
	waits bool      // for a request
	since time.Time // when that began
}

// local is who comes over a Unix socket, in throttles and in the audit log.
type local struct{}

func (local) Network() string { return "unix" }
func (local) String() string  { return "local" }

// RemoteAddr is the client's address.
func (c *limitedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.l.forget(c)
	return err
}

// connState takes note of which connections do something.
func connState(conn net.Conn, s http.ConnState) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*limitedConn)
	if !ok || s != http.StateActive && s != http.StateIdle {
		return
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.waits = s == http.StateIdle; c.waits {
		c.since = time.Now()
		c.l.wake()
	}
}
