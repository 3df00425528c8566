package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"strongroom/cmd/influx/internal/exit"
)

// TestInterrupted ends a command that waits for its server, as Ctrl-C does. (At a prompt: see internal/terminal.)
func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		interrupt()
		<-r.Context().Done()
	}))
	defer srv.Close()
	t.Setenv("HOME", t.TempDir())
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"influx", "ping", "--host", srv.URL}, stdin, &stdout, &stderr)
	if code != int(exit.Interrupted) || stdout.String() != "" || stderr.String() != "Error: interrupted\n" {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}
