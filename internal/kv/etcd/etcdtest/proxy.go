package etcdtest

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy stands between one client and one member, and can keep what they send from each other. It outlives restarts of
// the member.
type Proxy struct {
	Endpoint string // the URL by which the client reaches the member

	listener net.Listener
	target   string

	mu    sync.Mutex
	ended bool
	open  [2]chan struct{} // closed while bytes pass: to the member, and back
	conns map[net.Conn]bool
}

// NewProxy stands before the member until the test ends, and lets everything pass.
func NewProxy(t testing.TB, m *Member) *Proxy {
	t.Helper()
	u, err := url.Parse(m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Endpoint: u.Scheme + "://" + l.Addr().String(), listener: l, target: u.Host,
		conns: make(map[net.Conn]bool)}
	for i := range p.open {
		p.open[i] = make(chan struct{})
		close(p.open[i])
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.Pass(true, true)
		p.Reset()
		wg.Wait()
	})
	return p
}

// Pass says whether bytes pass to the member, and back. What does not waits, as what a network loses is sent again: it
// arrives when it may pass, if the connection is still there.
func (p *Proxy) Pass(there, back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, pass := range []bool{there || p.ended, back || p.ended} {
		select {
		case <-p.open[i]:
			if !pass {
				p.open[i] = make(chan struct{})
			}
		default:
			if pass {
				close(p.open[i])
			}
		}
	}
}

// Reset ends all connections, as a reset does.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.keep(client) {
		return
	}
	defer p.leave(client)
	member, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer member.Close()
	if !p.keep(member) {
		return
	}
	defer p.leave(member)
	var wg sync.WaitGroup
	pump := func(way int, to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			p.mu.Lock()
			open := p.open[way]
			p.mu.Unlock()
			<-open
			if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
				return
			}
		}
	}
	wg.Go(func() { pump(0, member, client) })
	wg.Go(func() { pump(1, client, member) })
	wg.Wait()
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.conns[c] = true
	}
	return !p.ended
}

func (p *Proxy) leave(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
