// Package httpapi serves the HTTP API: InfluxDB's paths, bodies, codes and headers over the services of identity and
// secret. It puts together its parts: secrets, accounts and system have the paths, and exchange what all of them share.
package httpapi

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/httpapi/accounts"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/httpapi/secrets"
	"strongroom/internal/httpapi/system"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/pause"
	"strongroom/internal/pemfile"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// Config is what the API serves. Guard, Authn, Directory, Secrets and Store must be set.
type Config struct {
	Guard     *access.Guard
	Authn     *authn.Service
	Directory *directory.Service
	Secrets   *service.Service
	Store     secret.Store // for the health checks
	Trail     system.Trail // nil: GET /api/v2/audit says that there is none
	Seals     system.Seals // nil: there are no paths for them
	Data      system.Data  // nil: there is no path for a backup of it
	// Damage says which kinds of records did not open; nil: nobody knows.
	Damage func() string
	// Named says what is wrong with this server's name among several; nil: it is the only one.
	Named func() string

	Version string // as X-Influxdb-Version and /health give it
	Commit  string
	// Settings is the effective configuration, nothing secret in it, for GET /api/v2/config.
	Settings func() map[string]any
	// Certificates are the states of the server's own, for the health checks; nil where it has none.
	Certificates func() []pemfile.State

	MaxBody int64            // bytes
	Budget  *inflight.Budget // of the bytes that all requests hold; nil: no bound
	Pauses  *pause.Pauses    // of those who are refused again and again; nil: none
	Secure  bool             // the server speaks TLS: cookies are marked so
	Metrics prometheus.Registerer
	// Gather serves /metrics; nil serves none.
	Gather prometheus.Gatherer
	Logger *slog.Logger
	// UI serves everything outside the API; nil: 404.
	UI http.Handler
}

// New makes the API's handler.
func New(c Config) (http.Handler, error) {
	if c.Directory == nil || c.Secrets == nil || c.Store == nil {
		return nil, errors.New("httpapi: Directory, Secrets and Store must be set")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	s, err := exchange.New(exchange.Config{
		Guard: c.Guard, Authn: c.Authn, Version: c.Version, MaxBody: c.MaxBody, Budget: c.Budget, Pauses: c.Pauses,
		Secure: c.Secure, Metrics: c.Metrics, Logger: c.Logger, Elsewhere: c.UI,
	}, c.tables()...)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// tables is the whole API.
func (c Config) tables() []exchange.Table {
	return []exchange.Table{
		secrets.Routes(c.Secrets),
		accounts.Routes(c.Authn, c.Directory),
		system.Routes(system.Config{
			Guard: c.Guard, Store: c.Store, Trail: c.Trail, Seals: c.Seals, Data: c.Data, Settings: c.Settings,
			Gather: c.Gather, Version: c.Version, Commit: c.Commit, Logger: c.Logger,
			Unfinished: c.Directory.Unfinished, Named: c.Named, Certificates: c.Certificates, Damage: c.Damage,
		}),
		{"/api/v2/swagger.json": {"GET": exchange.Open(getOpenAPI)}},
	}
}
