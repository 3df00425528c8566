package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
)

// TestTellSystemd listens as systemd does, in a datagram socket, to what the server says.
func TestTellSystemd(t *testing.T) {
	at := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", at)
	t.Setenv("WATCHDOG_USEC", "60000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	heard := make(chan string)
	go func() {
		defer close(heard)
		for b := make([]byte, 100); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()

	ctx, stop := context.WithCancel(t.Context())
	var ill, probed atomic.Bool
	tellSystemd(ctx, slog.New(slog.DiscardHandler), func(context.Context) error {
		if ill.Load() {
			probed.Store(true)
			return errors.New("ill")
		}
		return nil
	})
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := <-heard; got != want {
			t.Fatalf("systemd was told %q, want %q", got, want)
		}
	}
	ill.Store(true)
	for !probed.Load() { // what was said before that may still come
		select {
		case <-heard:
		default:
		}
	}
	stop()
	for got := range heard {
		if got == "STOPPING=1" {
			return
		}
		if got != "WATCHDOG=1" {
			t.Fatalf("systemd was told %q", got)
		}
	}
}
