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
)

// wire is a client: a connection that sends one request over and over and reads the answers, with as little work as that
// can be done, so that it is the server that is measured.
type wire struct {
	r       *bufio.Reader
	conn    net.Conn
	request []byte
	status  string // what every answer must have
}

// call is a request as a benchmark describes it.
type call struct {
	method, path string
	header       string // name and value of the one that says who asks
	body         string
	status       int
}

func dial(b *testing.B, s *server, c call) *wire {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	w := &wire{r: bufio.NewReaderSize(conn, 64<<10), conn: conn, status: fmt.Sprintf("HTTP/1.1 %d ", c.status)}
	w.request = fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", c.method, c.path, conn.RemoteAddr(), c.header)
	if c.method != http.MethodGet {
		w.request = fmt.Appendf(w.request, "Content-Length: %d\r\n", len(c.body))
	}
	w.request = append(append(w.request, "\r\n"...), c.body...)
	return w
}

// dialAll gives so many clients their connections.
func dialAll(b *testing.B, s *server, clients int, c func(client int) call) []*wire {
	b.Helper()
	wires := make([]*wire, clients)
	for i := range wires {
		wires[i] = dial(b, s, c(i))
	}
	return wires
}

// send sends the request and reads the whole answer. An answer of another status is an error.
func (w *wire) send() error {
	if _, err := w.conn.Write(w.request); err != nil {
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
	rest, _ := io.ReadAll(io.LimitReader(w.r, 1<<10)) // the server keeps the connection: what is there is enough
	return fmt.Errorf("answered %q instead of %q: %s", strings.TrimSpace(first), w.status, rest)
}
