package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/influxd/release"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/refused"
	"strongroom/internal/servers"
)

// actsOfAll are the acts of all servers, and how this one's log is.
type actsOfAll struct {
	*servers.Acts
	own *auditlog.Log
}

// Health tells whether more can be put on record here.
func (a actsOfAll) Health(ctx context.Context) audit.Health { return a.own.Health(ctx) }

// joinOthers makes this server one of those over the same data.
func (s *Server) joinOthers(ctx context.Context, cfg *config.Config, keys *keyring.Keyring) error {
	key, err := keys.DeriveKey(servers.Label)
	if err != nil {
		return err
	}
	s.servers, err = servers.Enter(ctx, servers.Config{KV: s.Data, Key: key, Logger: s.log, Self: servers.Member{
		Name: parts.AmongSeveral(cfg), Version: release.Version(), Since: time.Now().UTC(),
	}, Refused: func() { s.refused.Add(refused.Server) }})
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Place("etcd-endpoints"), err)
	}
	s.runs(ctx, s.servers.Run)
	return nil
}

// raiseAlone raises the format of data that no other server has. A server starts without room for it, too: what reads
// goes on, and a later start raises them.
func raiseAlone(ctx context.Context, data kv.Store, log *slog.Logger) error {
	err := servers.RaiseAlone(ctx, data)
	if err != nil && !errors.Is(err, servers.ErrNewer) {
		log.WarnContext(ctx, "the data's format could not be raised, and will be at a later start", "error", err)
		return nil
	}
	return err
}

// forServers answers what other servers ask, and the rest by the other handler, which has no path there.
func forServers(own, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == servers.Path {
			own.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// urlForServers is where the other servers reach this one.
func urlForServers(cfg *config.Config, at net.Addr) string {
	if cfg.Etcd.ServerURL != "" {
		return cfg.Etcd.ServerURL
	}
	scheme := "http://"
	if cfg.TLS() {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return ""
		}
	}
	return scheme + net.JoinHostPort(host, port) + cfg.BasePath
}

// shown gives the certificate that the server shows now; nil without TLS.
func shown(secure *tls.Config) func() *tls.Certificate {
	if secure == nil {
		return nil
	}
	return func() *tls.Certificate {
		pair, err := secure.GetCertificate(nil)
		if err != nil {
			return nil
		}
		return pair
	}
}
