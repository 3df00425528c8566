package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wire is a client: a connection that sends its requests one after the other, over and over, and reads the answers,
// with as little work as that can be done, so that it is the server that is measured.
type wire struct {
	r        *bufio.Reader
	conn     net.Conn
	requests [][]byte
	next     int
	status   string // what every answer must have
}

// call is a request as a benchmark describes it.
type call struct {
	method, path string
	header       string // name and value of the one that says who asks
	body         string
	status       int
}

// dial connects a client. All of its calls want the same status.
func dial(b *testing.B, s *server, calls ...call) *wire {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	w := &wire{r: bufio.NewReaderSize(conn, 64<<10), conn: conn, status: fmt.Sprintf("HTTP/1.1 %d ", calls[0].status)}
	for _, c := range calls {
		q := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", c.method, c.path, conn.RemoteAddr(), c.header)
		if c.method != http.MethodGet {
			q = fmt.Appendf(q, "Content-Length: %d\r\n", len(c.body))
		}
		w.requests = append(w.requests, append(append(q, "\r\n"...), c.body...))
	}
	return w
}

// asks is a side whose clients ask a server, each with a connection and requests of its own.
func asks(b *testing.B, s *server, clients int, calls func(client int) []call) side {
	b.Helper()
	asked := side{server: s}
	for i := range clients {
		asked.clients = append(asked.clients, dial(b, s, calls(i)...).send)
	}
	return asked
}

// send sends the next request and reads the whole answer. An answer of another status is an error.
func (w *wire) send() error {
	request := w.requests[w.next%len(w.requests)]
	w.next++
	if _, err := w.conn.Write(request); err != nil {
		return err
	}
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), w.status) {
		return w.refused(string(line))
	}
	length, chunked := 0, false
	for {
		if line, err = w.r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) == 2 {
			break
		}
		if line[0] != 'C' && line[0] != 'T' { // most headers, without making a string of them
			continue
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": "); name {
		case "Content-Length":
			if length, err = strconv.Atoi(value); err != nil {
				return err
			}
		case "Transfer-Encoding":
			chunked = value == "chunked"
		}
	}
	if !chunked {
		_, err := w.r.Discard(length)
		return err
	}
	for {
		if line, err = w.r.ReadSlice('\n'); err != nil {
			return err
		}
		size, err := strconv.ParseUint(strings.TrimSpace(string(line)), 16, 31)
		if err != nil {
			return err
		}
		if _, err := w.r.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}

// refused says what came in the place of the answer that was wanted.
func (w *wire) refused(first string) error {
	_ = w.conn.SetReadDeadline(time.Now().Add(time.Second)) // the server keeps the connection: what is there is enough
	rest, _ := io.ReadAll(io.LimitReader(w.r, 1<<10))
	return fmt.Errorf("answered %q instead of %q: %s", strings.TrimSpace(first), w.status, rest)
}
