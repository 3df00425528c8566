package listener

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd/config"
)

// serving starts Serve with the handler and returns its URL, what stops it, and what waits for its end.
func serving(t *testing.T, cfg *config.Config, handler http.Handler) (url string, stop func(), wait func() error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	log := slog.New(slog.DiscardHandler)
	secure, _, err := TLS(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, url, err := Listen(ctx, cfg, API, secure, log)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, cfg, log, l, handler) }()
	t.Cleanup(stop)
	return url, stop, func() error { return <-ended }
}

func TestRequestsThatDoNotFinishAreCutOff(t *testing.T) {
	began := make(chan struct{})
	handlerEnded := make(chan error, 1)
	url, stop, wait := serving(t, settings(t, "--http-bind-address=127.0.0.1:0", "--shutdown-timeout=10ms"),
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
			handlerEnded <- r.Context().Err()
		}))
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
			err = errors.New("was answered " + res.Status)
		}
		answered <- err
	}()
	<-began
	stop()
	if err := wait(); err != nil {
		t.Errorf("serving ended with %v", err)
	}
	if err := <-handlerEnded; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
	if err := <-answered; err == nil || strings.Contains(err.Error(), "was answered") {
		t.Errorf("the request %v", err)
	}
}

func TestRequestsInFlightFinish(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	url, stop, wait := serving(t, settings(t, "--http-bind-address=127.0.0.1:0"),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(began)
			<-finish
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request's context ended with the server's: %v", err)
			}
			io.WriteString(w, "done")
		}))
	answered := make(chan string, 1)
	go func() {
		res, err := http.Get(url)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answered <- string(b)
	}()
	<-began
	stop()
	// No new connection is taken from now on, though the request still runs.
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	close(finish)
	if got := <-answered; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := wait(); err != nil {
		t.Errorf("serving ended with %v", err)
	}
}
