package listener

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bufio"
)

// TestRefusals sends what net/http answers by itself: the answers have the form of the API's errors, and what a handler
// says passes as it is.
func TestRefusals(t *testing.T) {
	cert, key, _ := certificate(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "of the handler", http.StatusBadRequest)
	})
	plain, _, _ := serving(t, settings(t, "--http-bind-address=127.0.0.1:0"), handler)
	secure, _, _ := serving(t, settings(t, "--http-bind-address=127.0.0.1:0", "--tls-cert", cert, "--tls-key", key), handler)
	for _, tt := range []struct {
		name, url, send string
		status          int
		code, says      string
	}{
		{"no HTTP", plain, "hello\r\n\r\n", 400, "invalid", "not HTTP"},
		{"no Host", plain, "GET / HTTP/1.1\r\n\r\n", 400, "invalid", "missing required Host header"},
		{"a header without a colon", plain, "GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400, "invalid", "not HTTP"},
		{"a version that is none", plain, "GET / HTTP/3.7\r\nHost: x\r\n\r\n", 505, "invalid", "unsupported protocol version"},
		{"a header that is too large", plain, "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 80<<10) +
			"\r\n\r\n", 431, "request too large", "over 64 KiB"},
		{"an encoding that nobody knows", plain, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\n", 501,
			"not implemented", "Transfer-Encoding"},
		{"no TLS where there is", secure, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "invalid", "https://"},
		{"a handler's own", plain, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400, "", "of the handler"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, addr, _ := strings.Cut(tt.url, "://")
			conn, err := net.Dial("tcp", addr)
			succeed(t, err)
			defer conn.Close()
			succeed(t, conn.SetDeadline(time.Now().Add(time.Minute)))
			_, err = io.WriteString(conn, tt.send)
			succeed(t, err)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			succeed(t, err)
			body, err := io.ReadAll(res.Body)
			succeed(t, err)
			if res.StatusCode != tt.status || !strings.Contains(string(body), tt.says) {
				t.Errorf("answered %d %s", res.StatusCode, body)
			}
			if tt.code == "" {
				return
			}
			var refused struct{ Code, Message string }
			if err := json.Unmarshal(body, &refused); err != nil || refused.Code != tt.code {
				t.Errorf("the body is %s (%v), want code %q", body, err, tt.code)
			}
			if ct := res.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
				t.Errorf("the type is %q", ct)
			}
		})
	}
}

// TestRefusalOfVaultsClients has the form that Vault's clients read.
func TestRefusalOfVaultsClients(t *testing.T) {
	l, _, err := Listen(t.Context(), settings(t, "--vault-api-bind-address=127.0.0.1:0"), VaultAPI, nil,
		slog.New(slog.DiscardHandler))
	succeed(t, err)
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute, ConnState: connState}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	succeed(t, err)
	defer conn.Close()
	succeed(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	succeed(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	succeed(t, err)
	var refused struct{ Errors []string }
	if err := json.NewDecoder(res.Body).Decode(&refused); err != nil || res.StatusCode != 400 || len(refused.Errors) != 1 {
		t.Errorf("answered %d %q, %v", res.StatusCode, refused, err)
	}
}
