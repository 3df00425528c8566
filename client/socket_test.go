package client

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSocketHost reaches a server over its Unix socket, with a transport of the caller's too, and names the socket where
// nobody answers.
func TestSocketHost(t *testing.T) {
	for _, host := range []string{"unix://run/x.sock", "unix:", "unix:///x.sock?a=b"} {
		if _, err := New(Config{Host: host}); err == nil || !strings.Contains(err.Error(), "unix:///run/") {
			t.Errorf("%s: %v", host, err)
		}
	}
	path := filepath.Join(t.TempDir(), "a server's %41.sock")
	host := "unix://" + strings.ReplaceAll(path, "%", "%25")
	for _, hc := range []*http.Client{nil, {}, {Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}} {
		c, err := New(Config{Host: host, HTTPClient: hc})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot reach unix://"+path) {
			t.Errorf("without a server: %v", err)
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{ReadHeaderTimeout: time.Minute,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
		go func() { _ = server.Serve(l) }()
		if err := c.Ping(t.Context()); err != nil || c.Host() != "unix://"+path {
			t.Errorf("over the socket: %v, as %s", err, c.Host())
		}
		_ = server.Close()
	}
}
