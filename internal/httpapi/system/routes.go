// Package system is the part of the API about the server itself: its health, metrics, settings,
// audit log, seal and backup.
package system

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/pemfile"
	"strongroom/internal/secret"
)

// Trail answers questions about what has been recorded, and tells whether more can be.
type Trail interface {
	Health(ctx context.Context) audit.Health
	Query(ctx context.Context, f audit.Filter, before audit.Before) (audit.Acts, error)
}

// Config is what the handlers show. Guard and Store must be set.
type Config struct {
	Guard    *access.Guard
	Store    secret.Store          // for the health checks
	Trail    Trail                 // nil: GET /api/v2/audit says that there is none
	Seals    Seals                 // nil: there are no paths for them
	Data     Data                  // nil: there is no path for a backup of it
	Settings func() map[string]any // the effective configuration, nothing secret in it
	// Unfinished says what of deleted organisations could not be removed yet, "" where nothing is
	// left; nil: nobody knows.
	Unfinished func() string
	// Damage says which kinds of records did not open, "" where all did; nil: nobody knows.
	Damage func() string
	// Named says what is wrong with this server's name among several; nil: it is the only one.
	Named func() string
	// Certificates are the states of the server's own; nil where it has none.
	Certificates func() []pemfile.State
	Gather       prometheus.Gatherer // nil: there is no path for the metrics
	Version      string
	Commit       string
	Logger       *slog.Logger
}

// handlers answer what is asked of the server itself.
type handlers struct {
	Config
	health    *health
	started   time.Time
	profiling sync.Mutex // held while the server is watched for a profile
}

// Routes are the paths of all of it.
func Routes(c Config) exchange.Table {
	h := &handlers{Config: c, health: newHealth(c.Store, c.Trail), started: time.Now()}
	t := exchange.Table{
		"/health": {"GET": exchange.Open(h.getHealth), "HEAD": exchange.Open(h.getHealth)},
		"/ready":  {"GET": exchange.Open(h.getReady), "HEAD": exchange.Open(h.getReady)},
		"/ping":   {"GET": exchange.Open(h.getPing), "HEAD": exchange.Open(h.getPing)},
		// As Go's own programs have them. It takes as long as it was asked to.
		"/debug/pprof/{profile}": {"GET": {Do: h.getProfile, Long: true}},
		"/api/v2":                {"GET": exchange.Open(h.getIndex)},
		"/api/v2/resources":      {"GET": exchange.Auth(h.getResources)},
		"/api/v2/config":         {"GET": exchange.Auth(h.getConfig)},
		"/api/v2/audit":          {"GET": exchange.Auth(h.getAudit)},
	}
	if c.Seals != nil {
		t["/api/v2/seal"] = exchange.Methods{"GET": exchange.Auth(h.getSeal)}
		t["/api/v2/seal/rotate"] = exchange.Methods{"POST": exchange.Auth(h.postSealRotate)}
		t["/api/v2/seal/change"] = exchange.Methods{"POST": exchange.Auth(h.postSealChange)}
	}
	if c.Data != nil {
		t["/api/v2/backup/kv"] = exchange.Methods{"GET": {Do: h.getBackup, Long: true}}
	}
	if c.Gather != nil {
		t["/metrics"] = exchange.Methods{"GET": exchange.Open(h.getMetrics), "HEAD": exchange.Open(h.getMetrics)}
	}
	return t
}
