package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"strongroom/internal/background"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/listener"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/influxd/release"
	"strongroom/internal/outage"
	"strongroom/internal/pemfile"
	"strongroom/internal/seal"
	"strongroom/internal/tracing"
)

// Run is the server's whole life: it reads the configuration, opens the parts, serves until ctx ends, and closes
// the parts in reverse.
func Run(ctx context.Context, p command.Process, args config.Args) (err error) {
	defer keepHeapFloor()()
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	cfg.Etcd.Patience = p.EtcdPatience
	log, err := command.NewLogger(p.Stderr, cfg)
	if err != nil {
		return err
	}
	for _, n := range cfg.Notices() {
		log.Warn(n)
	}
	secure, certificates, err := listener.TLS(cfg, log)
	if err != nil {
		return err
	}
	stopTracing, err := trace(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer stopTracing()
	s, err := Open(ctx, cfg, p, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if len(certificates) > 0 {
		s.certifies(func() []pemfile.State { return pemfile.States(certificates...) })
		s.runs(ctx, func(ctx context.Context) { pemfile.Watch(ctx, certificates...) })
	}

	l, url, err := listener.Listen(ctx, cfg, listener.API, secure, log)
	if err != nil {
		return err
	}
	if s.servers != nil {
		s.servers.Serves(ctx, urlForServers(cfg, l.Addr()), shown(secure))
	}
	serve := func(ctx context.Context) error { return listener.Serve(ctx, cfg, log, l, s.handler) }
	if cfg.VaultAPI.BindAddress != "" && s.vaultAPI != nil {
		own, at, err := listener.Listen(ctx, cfg, listener.VaultAPI, secure, log)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		log.Info("listening for Vault's clients", "addr", own.Addr().String(), "url", at)
		serve = both(serve, func(ctx context.Context) error { return listener.Serve(ctx, cfg, log, own, s.vaultAPI) })
		defer own.Close() // where nothing is served; else it is closed already
	}
	if cfg.HTTPSocket != "" {
		socket, at, err := listener.Listen(ctx, cfg, listener.Socket, nil, log)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		log.Info("listening on a socket", "url", at)
		serve = both(serve, func(ctx context.Context) error { return listener.Serve(ctx, cfg, log, socket, s.handler) })
		defer socket.Close() // where nothing is served; else it is closed, and removed, already
	}
	if err := greet(ctx, greetingTo(p, cfg), cfg, s, url); err != nil {
		return errors.Join(err, l.Close())
	}
	secrets := cfg.SecretStore
	if secrets == config.StoreBolt { // InfluxDB's word, which names a file that there may not be
		secrets = "embedded"
	}
	log.Info("listening", "addr", l.Addr().String(), "url", url, "version", release.Version(), "store", cfg.Store,
		"secret-store", secrets)
	if p.Listening != nil {
		p.Listening(url)
	}
	hangups, done := context.WithCancel(ctx)
	defer done()
	go background.KeepOn(hangups, log, func(ctx context.Context) { s.reopenOn(ctx, p.Hangup) })
	tellSystemd(ctx, log, func(ctx context.Context) error {
		_, err := s.identity.SetupAllowed(ctx)
		return err
	})
	return serve(ctx)
}

// lastTraces is how long what is known of the last requests may take to be sent, when the server ends.
const lastTraces = 5 * time.Second

// trace sends traces where the settings say so, until it is stopped.
func trace(ctx context.Context, cfg *config.Config, log *slog.Logger) (stop func(), err error) {
	if cfg.TracingEndpoint == "" {
		return func() {}, nil
	}
	outages := outage.New(log)
	end, err := tracing.Start(ctx, tracing.Config{
		Endpoint: cfg.TracingEndpoint, Ratio: cfg.TracingRatio, Version: release.Version(),
		Server: parts.AmongSeveral(cfg),
		Failed: func(err error) {
			outages.Failed(ctx, slog.LevelWarn, "traces", "traces could not be sent, and are lost", "error", err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("tracing-endpoint"), err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTraces)
		defer cancel()
		if err := end(ctx); err != nil {
			log.Warn("the last traces are lost", "error", err)
		}
	}, nil
}

// both runs two that serve until ctx ends, or one of them fails.
func both(a, b func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		other := make(chan error, 1)
		go func() {
			defer stop()
			other <- b(ctx)
		}()
		err := a(ctx)
		stop()
		return errors.Join(err, <-other)
	}
}

// greetingTo keeps what is for people out of a standard output that the audit record goes to.
func greetingTo(p command.Process, cfg *config.Config) io.Writer {
	if slices.Contains(cfg.AuditSinks, "stdout") {
		return p.Stderr
	}
	return p.Stdout
}

// greet tells whoever started the server, in three lines, where the data is, how to onboard, and what to do next.
func greet(ctx context.Context, w io.Writer, cfg *config.Config, s *Server, url string) error {
	fresh, err := s.identity.SetupAllowed(ctx)
	if err != nil {
		return err
	}
	kept := "secrets are in it"
	if cfg.SecretStore == config.StoreVault {
		kept = "secrets are in Vault"
	}
	opened := "the key " + cfg.SealKeyFile + " (keep a copy of it elsewhere)"
	switch cfg.Seal.Type {
	case seal.TypePassphrase:
		opened = "the passphrase"
	case seal.TypeTransit:
		opened = "the key " + cfg.Seal.Transit.Key + " in Vault"
	}
	where := cfg.BoltPath
	if cfg.Store == config.EngineEtcd {
		where = "etcd at " + strings.Join(cfg.Etcd.Endpoints, ",") + ", below " + cfg.Etcd.Prefix
	}
	fmt.Fprintf(w, "Data:     %s, opened by %s; %s\n", where, opened, kept)
	otherwise := "open " + url + " in a browser"
	if cfg.UIDisabled {
		otherwise = "POST " + url + "/api/v2/setup"
	}
	if fresh {
		fmt.Fprintf(w, "Onboard:  influx setup --host %s   (or %s)\n", url, otherwise)
	} else {
		fmt.Fprintf(w, "Onboard:  done; the API is on %s\n", url)
	}
	fmt.Fprintf(w, "Next:     influx secret update -k KEY, then influx secret list; `influxd help` shows "+
		"every setting\n")
	return nil
}
