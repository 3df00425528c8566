// Package gather has an answer's head and its body go out in one write. net/http fills a buffer of 4 KiB with the head
// and the beginning of the body, writes that, and then the rest: for a list of 1,000 names the first of these two
// writes was a tenth of what the request costs.
package gather

import (
	"context"
	"net"
	"sync"
)

// most is how long the first write is at most: net/http's buffer.
const most = 4 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, most); return &b }}

// Writes are those to one connection, which one goroutine makes: of HTTP/1, and without TLS. The zero value passes them
// on as they come.
type Writes struct {
	on   bool
	held *[]byte // the first, until the second comes
	both [2][]byte
	bufs net.Buffers // of both
	conn net.Conn
}

type key struct{}

// In is a context of the requests of the connection.
func In(ctx context.Context, w *Writes) context.Context { return context.WithValue(ctx, key{}, w) }

// Of gives the writes to a request's connection; nil where they cannot be gathered.
func Of(ctx context.Context) *Writes {
	w, _ := ctx.Value(key{}).(*Writes)
	return w
}

// Begin holds the next write back until there is another. The caller calls End as soon as the body has been written.
func (w *Writes) Begin() {
	if w != nil {
		w.on = true
	}
}

// End sends what is still held. Where that fails, so does what is written or read after it.
func (w *Writes) End() {
	if w == nil {
		return
	}
	w.on = false
	if w.held != nil {
		_, _ = w.send(nil)
	}
}

// Write writes to the connection. What it holds it says to have written.
func (w *Writes) Write(conn net.Conn, b []byte) (int, error) {
	switch {
	case w.held != nil:
		return w.send(b)
	case !w.on || len(b) > most:
		return conn.Write(b)
	}
	w.held, w.conn = buffers.Get().(*[]byte), conn
	*w.held = append(*w.held, b...)
	return len(b), nil
}

// send writes what is held and b, and gives how much of b that was.
func (w *Writes) send(b []byte) (int, error) {
	held, conn := w.held, w.conn
	w.held, w.conn = nil, nil
	w.both = [2][]byte{*held, b}
	w.bufs = w.both[:]
	n, err := w.bufs.WriteTo(conn)
	w.both, w.bufs = [2][]byte{}, nil
	sent := max(int(n)-len(*held), 0)
	clear(*held) // there may be values in it
	*held = (*held)[:0]
	buffers.Put(held)
	return sent, err
}
