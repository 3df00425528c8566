package listener

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSocketErrors: what is there and is no socket that was left behind stays as it is.
func TestSocketErrors(t *testing.T) {
	dir := t.TempDir()
	file, used := filepath.Join(dir, "file"), filepath.Join(dir, "used")
	succeed(t, os.WriteFile(file, []byte("theirs"), 0o600))
	other, err := net.Listen("unix", used)
	succeed(t, err)
	defer other.Close()
	for path, want := range map[string]string{
		file:                               "is no socket",
		used:                               "in use by another program",
		filepath.Join(dir, "none", "sock"): "make it first",
	} {
		_, _, err := Listen(t.Context(), settings(t, "--http-socket", path), Socket, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--http-socket") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "theirs" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if conn, err := net.Dial("unix", used); err != nil {
		t.Errorf("the other program's socket: %v", err)
	} else {
		conn.Close()
	}
}

// TestSocket serves on a socket that a killed server has left: its clients are local, the mode is what was asked for, and
// the socket goes with the server.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "influxd.sock")
	left, err := net.Listen("unix", path)
	succeed(t, err)
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	succeed(t, left.Close())

	cfg := settings(t, "--http-socket", path, "--http-socket-mode=0600", "--http-max-client-connections=1")
	l, url, err := Listen(t.Context(), cfg, Socket, nil, slog.New(slog.DiscardHandler))
	succeed(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	if url != "unix://"+path {
		t.Errorf("the URL is %s", url)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, cfg, slog.New(slog.DiscardHandler), l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.RemoteAddr)
		}))
	}()
	for range 3 { // there is no share among those who may open the file
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get("http://local/")
		succeed(t, err)
		body, err := io.ReadAll(res.Body)
		succeed(t, err)
		if string(body) != "local" {
			t.Errorf("the client is %q", body)
		}
	}
	stop()
	succeed(t, <-served)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
