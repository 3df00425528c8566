package listener

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"strongroom/internal/errs"
)

// net/http answers what it cannot read by itself, in plain text and in one write, before any handler is asked. These
// are the heads of such answers: of a request that is malformed or too large, and of one without TLS where TLS is
// spoken.
var (
	refusalTail  = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
	withoutTLS   = []byte("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	statusPrefix = []byte("HTTP/1.1 ")
)

// dialect makes the body of a refusal, in the form of one API.
type dialect func(code errs.Code, message string) any

// dialects has the forms of the two APIs, by the setting of the listener that speaks it.
var dialects = map[string]dialect{
	API: func(code errs.Code, message string) any {
		return map[string]string{"code": string(code), "message": message}
	},
	VaultAPI: func(_ errs.Code, message string) any {
		return map[string][]string{"errors": {message}}
	},
}

// Write gives net/http's own refusals the form that the API's errors have. Over TLS it sees what is encrypted already,
// and so only the refusal of a request without TLS.
func (c *limitedConn) Write(b []byte) (int, error) {
	if c.l.form == nil {
		return c.writes.Write(c.Conn, b)
	}
	said, status := refusalOf(b)
	if status == 0 {
		return c.writes.Write(c.Conn, b)
	}
	answer, err := refusal(c.l.form, status, said)
	if err != nil {
		return 0, err
	}
	if _, err := c.Conn.Write(answer); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite ends the server's half of the connection, so that a client that still sends reads the refusal.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// refusalOf is what an answer of net/http's own says, and its status; 0 where it is none.
func refusalOf(b []byte) (said string, status int) {
	if bytes.Equal(b, withoutTLS) {
		return "this port speaks TLS: use https:// in the URL", http.StatusBadRequest
	}
	if !bytes.HasPrefix(b, statusPrefix) || len(b) > 4<<10 {
		return "", 0
	}
	head, _, found := bytes.Cut(b, refusalTail)
	if !found || bytes.Contains(head, []byte("\r\n")) {
		return "", 0
	}
	code, reason, _ := bytes.Cut(head[len(statusPrefix):], []byte(" "))
	status, err := strconv.Atoi(string(code))
	if err != nil || status < 400 || status > 599 {
		return "", 0
	}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return fmt.Sprintf("the header of the request is over %d KiB", maxHeader>>10), status
	case http.StatusNotImplemented:
		return "the request's Transfer-Encoding is none that this server knows; send chunked, or Content-Length", status
	}
	// "Bad Request: malformed Host header": what stands behind the colon is net/http's own text.
	if _, detail, ok := bytes.Cut(reason, []byte(": ")); ok {
		return "the request is not HTTP as the server reads it: " + string(detail), status
	}
	return "the request is not HTTP as the server reads it", status
}

// refusal is the whole answer, in the form of the API.
func refusal(form dialect, status int, said string) ([]byte, error) {
	code := errs.Invalid
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		code = errs.RequestTooLarge
	case http.StatusNotImplemented:
		code = errs.NotImplemented
	}
	body, err := json.Marshal(form(code, said))
	if err != nil {
		return nil, fmt.Errorf("encoding a refusal: %w", err)
	}
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"+
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
		status, http.StatusText(status), len(body))
	return append([]byte(head), body...), nil
}
