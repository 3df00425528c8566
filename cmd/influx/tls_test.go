package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"strongroom/cmd/influx/internal/exit"
)

// TestSkipVerify: a certificate nobody vouches for is refused unless the flag or the variable says otherwise.
func TestSkipVerify(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"pass"}`)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	srv.StartTLS()
	defer srv.Close()
	t.Setenv("HOME", t.TempDir())
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	ping := func(flags ...string) (int, string) {
		var stdout, stderr strings.Builder
		args := append([]string{"influx", "ping", "--host", srv.URL}, flags...)
		return run(t.Context(), args, stdin, &stdout, &stderr), stdout.String() + stderr.String()
	}
	if code, text := ping(); code != int(exit.Unreachable) || !strings.Contains(text, "certificate") ||
		!strings.Contains(text, "SSL_CERT_FILE") {
		t.Errorf("without: %d, %s", code, text)
	}
	if code, text := ping("--skip-verify"); code != 0 || text != "OK\n" {
		t.Errorf("flag: %d, %s", code, text)
	}
	t.Setenv("INFLUX_SKIP_VERIFY", "true")
	if code, text := ping(); code != 0 || text != "OK\n" {
		t.Errorf("variable: %d, %s", code, text)
	}
}

// TestSchemeMixedUp: http where TLS is spoken, and the reverse, lead to the right scheme.
func TestSchemeMixedUp(t *testing.T) {
	answer := http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"pass"}`) },
	)
	plain, secure := httptest.NewServer(answer), httptest.NewUnstartedServer(answer)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	t.Setenv("HOME", t.TempDir())
	for host, want := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1):  "does its address begin with http://?",
		strings.Replace(secure.URL, "https:", "http:", 1): "does its address begin with https://?",
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), []string{"influx", "ping", "--host", host}, os.Stdin, &stdout, &stderr)
		if code == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: %d, %s", host, code, stderr.String())
		}
	}
}
