package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"strongroom/internal/gather"
	"strongroom/internal/influxd/config"
)

// maxHeader bounds a request's header: a path with the longest secret key, percent-encoded, a token and a cookie take a
// fraction of it.
const maxHeader = 64 << 10

// The bounds of one connection of HTTP/2: its requests at a time, and how much of their bodies it
// may send ahead, in bytes.
const (
	maxStreams  = 100
	http2Buffer = 128 << 10
)

// Serve serves the handler on the listener until ctx ends. Then no new request is taken, those in flight have
// --shutdown-timeout to finish, and what is left after that is cut off.
func Serve(ctx context.Context, cfg *config.Config, log *slog.Logger, l net.Listener, handler http.Handler) error {
	// Requests live on when ctx ends, and end when they are cut off.
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cfg.HTTPReadHeaderTimeout,
		ReadTimeout:       cfg.HTTPReadTimeout,
		WriteTimeout:      cfg.HTTPWriteTimeout,
		IdleTimeout:       cfg.HTTPIdleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams,
			MaxReceiveBufferPerConnection: http2Buffer, MaxReceiveBufferPerStream: http2Buffer},
		ConnState:   connState,
		ConnContext: connContext,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("the API's listener failed: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping: requests in flight may finish", "timeout", cfg.ShutdownTimeout.String())
	patience, cancel := context.WithTimeout(requests, cfg.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		log.Warn("requests in flight did not finish in time and are cut off", "timeout", cfg.ShutdownTimeout.String())
		// The connections first: what a handler says once its context has ended is not the outcome of the request.
		err := server.Close()
		cut()
		if err != nil {
			return fmt.Errorf("closing the API's connections: %w", err)
		}
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the API's listener failed: %w", err)
	}
	return nil
}

// connContext has the writes of long answers gathered, but over TLS, where what is written is records already.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*limitedConn); ok {
		return gather.In(ctx, &c.writes)
	}
	return ctx
}
