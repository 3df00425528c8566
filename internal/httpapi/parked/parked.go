// Package parked keeps connections on which the server sends something now and then, each for little memory: the
// handler has ended, and with it all that net/http holds for a request under way. What is left are the connection, a
// timer, and a goroutine with a small stack that waits for the client's end. A few goroutines do the work of all.
package parked

import (
	"net"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// Sender says what is sent on a connection.
type Sender interface {
	// Next gives what is to be sent now, nothing where there is nothing new, and whether that is the last. It is
	// called once at a time.
	Next() (text []byte, last bool)
	// Gone is told once, when the connection is closed, which may be while Next is at work.
	Gone()
}

// Config says what all connections have in common. All of it must be set.
type Config struct {
	Pulse []byte        // what is sent where nothing else was for so long:
	Every time.Duration // which shows that both are there
	Write time.Duration // how long one write may take
}

const (
	// workers is how many connections are worked on at a time.
	workers = 32
	// slow is how long the work on one may take until another is worked on beside it, so that nobody waits for a client
	// that does not read.
	slow = 100 * time.Millisecond
	// farewell is how long the last write may take.
	farewell = time.Second
	// maxAhead is how much a client may send, in bytes: nobody reads it.
	maxAhead = 4 << 10
	// litter is after how many connections what net/http has left of them is collected: some 15 KiB each, by which the
	// heap would grow until the collector comes by itself. That is half of the memory that 10,000 take at rest.
	litter = 500
	// quiet is how long after the last of so many it is collected once more: what was in use for a moment then decides
	// no longer how far the heap may grow, and goes back to the system.
	quiet = 2 * time.Second
)

// Lot is where connections are parked. Make it with New.
type Lot struct {
	Config

	mu          sync.Mutex
	first, last *Conn // of those that wait for work
	working     int
	littered    int // connections since the last collection
	rush        int // and since it was quiet
	tidying     bool
	calm        *time.Timer // when it is quiet
}

// New makes a lot.
func New(c Config) *Lot { return &Lot{Config: c} }

// Conn is a parked connection.
type Conn struct {
	lot    *Lot
	conn   net.Conn
	sender Sender
	until  time.Time
	timer  *time.Timer
	sent   time.Time // when something was sent last; of whoever works on it

	next    *Conn // of the lot's lock
	waiting bool  // it is in the lot's list, or worked on; of the lot's lock
	again   bool  // it was woken while it was worked on; of the lot's lock

	closing sync.Once
	closed  bool // of the lot's lock
	ahead   [64]byte
}

// Park takes over a connection on which an answer of HTTP/1.1 in chunks has begun, until a time at which the answer
// ends, as it does where the sender says so. Then the connection is closed.
func (l *Lot) Park(conn net.Conn, until time.Time, s Sender) *Conn {
	c := &Conn{lot: l, conn: conn, sender: s, until: until, sent: time.Now()}
	l.mu.Lock() // the timer may be early
	c.timer = time.AfterFunc(min(l.Every, time.Until(until)), c.Wake)
	l.mu.Unlock()
	go c.listen()
	l.tidy()
	return c
}

// tidy collects garbage after many connections, beside all else.
func (l *Lot) tidy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.littered++
	if l.rush++; l.rush >= litter {
		if l.calm == nil {
			l.calm = time.AfterFunc(quiet, l.calmed)
		} else {
			l.calm.Reset(quiet)
		}
	}
	if l.littered < litter || l.tidying {
		return
	}
	l.littered, l.tidying = 0, true
	go func() {
		runtime.GC()
		l.mu.Lock()
		l.tidying = false
		l.mu.Unlock()
	}()
}

// calmed collects garbage once after a rush.
func (l *Lot) calmed() {
	l.mu.Lock()
	l.rush, l.littered = 0, 0
	l.mu.Unlock()
	runtime.GC()
}

// Wake has the sender asked, soon. It waits for nothing.
func (c *Conn) Wake() {
	l := c.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.closed:
	case c.waiting:
		c.again = true
	default:
		l.add(c)
	}
}

// add puts the connection at the end of the list. The lock is held.
func (l *Lot) add(c *Conn) {
	c.waiting, c.again, c.next = true, false, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	if l.working < workers {
		l.working++
		go l.work()
	}
}

// take gives the first of the list; nil, and one works less, where there is none.
func (l *Lot) take() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.first
	if c == nil {
		l.working--
		return nil
	}
	if l.first, c.next = c.next, nil; l.first == nil {
		l.last = nil
	}
	c.again = false
	return c
}

// done is told that the work on a connection has ended for now.
func (l *Lot) done(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.waiting = false; c.again && !c.closed {
		l.add(c)
	}
}

// work is one that works on connections, until there are none that wait.
func (l *Lot) work() {
	late := time.AfterFunc(time.Hour, l.work)
	defer late.Stop()
	for c := l.take(); c != nil; c = l.take() {
		late.Reset(slow)
		c.step()
		replaced := !late.Stop()
		l.done(c)
		if replaced {
			return
		}
	}
}

// step asks the sender, and sends what it says.
func (c *Conn) step() {
	text, last := c.sender.Next()
	now := time.Now()
	last = last || !now.Before(c.until)
	if len(text) == 0 && now.Sub(c.sent) >= c.lot.Every {
		text = c.lot.Pulse
	}
	if len(text) > 0 || last {
		if !c.send(now, text, last) || last {
			c.Close()
			return
		}
		c.sent = now
	}
	c.timer.Reset(max(min(c.lot.Every-now.Sub(c.sent), c.until.Sub(now)), time.Millisecond))
}

// send writes one chunk, and the end where it is the last.
func (c *Conn) send(now time.Time, text []byte, last bool) bool {
	chunk := make([]byte, 0, len(text)+16)
	if len(text) > 0 {
		chunk = append(strconv.AppendInt(chunk, int64(len(text)), 16), "\r\n"...)
		chunk = append(append(chunk, text...), "\r\n"...)
	}
	patience := c.lot.Write
	if last {
		chunk, patience = append(chunk, "0\r\n\r\n"...), farewell
	}
	if c.conn.SetWriteDeadline(now.Add(patience)) != nil {
		return false
	}
	_, err := c.conn.Write(chunk)
	return err == nil
}

// listen waits for the client's end.
func (c *Conn) listen() {
	for read := 0; read < maxAhead; {
		n, err := c.conn.Read(c.ahead[:])
		if err != nil {
			break
		}
		read += n
	}
	c.Close()
}

// Close ends it at once.
func (c *Conn) Close() {
	c.closing.Do(func() {
		c.lot.mu.Lock()
		c.closed = true
		c.lot.mu.Unlock()
		c.timer.Stop()
		_ = c.conn.Close() // nothing is left to be sent
		c.sender.Gone()
	})
}
