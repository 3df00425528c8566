package vaulttest

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Proxy is a network between a test and a server that can be cut, slowed, and made to swallow everything.
type Proxy struct {
	// Address is the server's URL through the proxy.
	Address string

	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu    sync.Mutex
	wake  *sync.Cond // of mu, when the state or the set of connections changes
	state state
	delay time.Duration
	conns map[net.Conn]bool // true for those that are frozen
	ended bool
}

type state int

const (
	passing state = iota
	cut           // connections are ended, new ones at once
	hanging       // connections are taken, and nothing goes through
	oneWay        // requests go through, answers do not
)

// Network puts a proxy before the server.
func Network(t testing.TB, v *Server) *Proxy {
	t.Helper()
	u, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: u.Scheme + "://" + l.Addr().String(), listener: l, target: u.Host,
		conns: make(map[net.Conn]bool)}
	p.wake = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Pass lets everything through.
func (p *Proxy) Pass() { p.set(passing, 0) }

// Slow lets everything through after a delay, each piece of it.
func (p *Proxy) Slow(d time.Duration) { p.set(passing, d) }

// Cut ends all connections, and new ones at once.
func (p *Proxy) Cut() { p.set(cut, 0) }

// Hang keeps connections open, takes new ones, and lets nothing through.
func (p *Proxy) Hang() { p.set(hanging, 0) }

// LoseAnswers lets requests through and no answer.
func (p *Proxy) LoseAnswers() { p.set(oneWay, 0) }

// Freeze lets nothing through on the connections there are, which stay open, and serves new ones.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.conns[c] = true
	}
}

// Reset ends the connections there are; new ones are served.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

func (p *Proxy) set(s state, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What was swallowed must not come through later, as it would not on a real network after the client has given up.
	if p.state != s && (s == cut || p.state != passing) {
		p.drop()
	}
	p.state, p.delay = s, d
	p.wake.Broadcast()
}

// drop ends all connections. The lock is held.
func (p *Proxy) drop() {
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	p.wake.Broadcast()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.forget(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.forget(server)
	p.running.Go(func() { p.pump(server, client, false) })
	p.pump(client, server, true)
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.state == cut {
		_ = c.Close()
		return false
	}
	p.conns[c] = false
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = c.Close()
	delete(p.conns, c)
	p.wake.Broadcast()
}

// pump copies in one direction and ends both connections at the end.
func (p *Proxy) pump(to, from net.Conn, answers bool) {
	defer p.forget(to)
	defer p.forget(from)
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !p.passes(from, answers) {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// passes waits until the state lets a piece through. It reports false when the connection has ended.
func (p *Proxy) passes(c net.Conn, answers bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := func() bool {
		_, open := p.conns[c]
		return open
	}
	for open() && (p.conns[c] || p.state == hanging || p.state == oneWay && answers) {
		p.wake.Wait()
	}
	if d := p.delay; d > 0 && open() {
		p.mu.Unlock()
		time.Sleep(d)
		p.mu.Lock()
	}
	return open()
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.ended = true
	p.drop()
	p.mu.Unlock()
	p.running.Wait()
}
