// Package httpapi serves the HTTP API: InfluxDB's paths, bodies, codes and headers over the services of identity and
// secret. A request goes through ServeHTTP (headers, request ID, routing), route.serve (who is asking), a handler that
// returns an error, and, where it did, writeError.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/secret"
)

// DefaultMaxBody is the size in bytes of the largest request body taken where the Config names none.
const DefaultMaxBody = 4 << 20

// maxOpenBody bounds, in bytes, what is read from somebody who is not known yet.
const maxOpenBody = 64 << 10

// requestTime bounds the work on one request.
const requestTime = 30 * time.Second

// Trail answers questions about what has been recorded.
type Trail interface {
	Query(ctx context.Context, f audit.Filter) (audit.Page, error)
}

// Config is what the API serves. Guard, Authn, Identity, Secrets and Store must be set.
type Config struct {
	Guard    *access.Guard
	Authn    *authn.Service
	Identity *directory.Service
	Secrets  *secret.Service
	Store    secret.Store // for the health checks
	Trail    Trail        // nil: GET /api/v2/audit says that there is none
	Seals    Seals        // nil: there are no paths for them
	Backup   Backups      // nil: there is no path for it

	Version string // as X-Influxdb-Version and /health give it
	Commit  string
	// Settings is the effective configuration, nothing secret in it, for GET /api/v2/config.
	Settings func() map[string]any

	MaxBody int64 // bytes
	Secure  bool  // the server speaks TLS: cookies are marked so
	Metrics prometheus.Registerer
	// Gather serves /metrics; nil serves none.
	Gather prometheus.Gatherer
	Logger *slog.Logger
	// UI serves everything outside the API; nil: 404.
	UI http.Handler
}

// API is the handler. Make it with New.
type API struct {
	Config
	mux     *http.ServeMux
	origin  *http.CrossOriginProtection
	metrics *metrics
	health  *health
	lists   listCache
	started time.Time

	versionHeader []string // as X-Influxdb-Version has it

	strangers *rate.Limiter // see turnAway

	idPrefix string
	idNext   atomic.Uint64
}

// New makes the API's handler.
func New(c Config) (*API, error) {
	if c.Guard == nil || c.Authn == nil || c.Identity == nil || c.Secrets == nil || c.Store == nil {
		return nil, fmt.Errorf("httpapi: Guard, Authn, Identity, Secrets and Store must be set")
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	a := &API{
		Config: c, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), metrics: newMetrics(c.Metrics),
		health: newHealth(c.Store), started: time.Now(), idPrefix: randomHex(6), versionHeader: []string{c.Version},
		strangers: rate.NewLimiter(strangersPerSecond, strangersAtOnce),
	}
	for path, methods := range a.routes() {
		a.mux.Handle(path, &route{api: a, path: path, methods: methods, series: &series{metrics: a.metrics, path: path}})
	}
	if c.UI != nil {
		a.mux.Handle("/", c.UI)
	} else {
		a.mux.Handle("/", http.HandlerFunc(a.notFound))
	}
	a.mux.Handle("/api/", http.HandlerFunc(a.notFound))
	a.mux.Handle("/api", http.HandlerFunc(a.notFound)) // or else the mux redirects
	return a, nil
}

// methods are what one path serves.
type methods map[string]endpoint

// endpoint is one method of one path.
type endpoint struct {
	do func(a *API, w http.ResponseWriter, r *request) error
	// open needs nobody to be signed in.
	open bool
	// long may take longer than requestTime.
	long bool
}

func open(do func(*API, http.ResponseWriter, *request) error) endpoint {
	return endpoint{do: do, open: true}
}
func auth(do func(*API, http.ResponseWriter, *request) error) endpoint { return endpoint{do: do} }

// routes is the whole API. Paths carry no method, so that a wrong one is answered in the API's own form.
func (a *API) routes() map[string]methods {
	t := map[string]methods{
		"/health": {"GET": open((*API).getHealth), "HEAD": open((*API).getHealth)},
		"/ready":  {"GET": open((*API).getReady), "HEAD": open((*API).getReady)},
		"/ping":   {"GET": open((*API).getPing), "HEAD": open((*API).getPing)},

		"/api/v2":              {"GET": open((*API).getIndex)},
		"/api/v2/swagger.json": {"GET": open((*API).getOpenAPI)},
		"/api/v2/setup":        {"GET": open((*API).getSetup), "POST": open((*API).postSetup)},
		"/api/v2/signin":       {"POST": open((*API).postSignin)},
		"/api/v2/signout":      {"POST": auth((*API).postSignout)},
		"/api/v2/me":           {"GET": auth((*API).getMe)},
		"/api/v2/me/password":  {"PUT": open((*API).putMyPassword)},
		"/api/v2/resources":    {"GET": auth((*API).getResources)},
		"/api/v2/config":       {"GET": auth((*API).getConfig)},
		"/api/v2/audit":        {"GET": auth((*API).getAudit)},

		"/api/v2/users":                   {"GET": auth((*API).getUsers), "POST": auth((*API).postUser)},
		"/api/v2/users/{userID}":          {"GET": auth((*API).getUser), "PATCH": auth((*API).patchUser), "DELETE": auth((*API).deleteUser)},
		"/api/v2/users/{userID}/password": {"POST": auth((*API).postUserPassword), "PUT": auth((*API).postUserPassword)},

		"/api/v2/orgs":                          {"GET": auth((*API).getOrgs), "POST": auth((*API).postOrg)},
		"/api/v2/orgs/{orgID}":                  {"GET": auth((*API).getOrg), "PATCH": auth((*API).patchOrg), "DELETE": auth((*API).deleteOrg)},
		"/api/v2/orgs/{orgID}/members":          {"GET": auth(listMembers(identity.RoleMember)), "POST": auth(addMember(identity.RoleMember))},
		"/api/v2/orgs/{orgID}/members/{userID}": {"DELETE": auth(removeMember(identity.RoleMember))},
		"/api/v2/orgs/{orgID}/owners":           {"GET": auth(listMembers(identity.RoleOwner)), "POST": auth(addMember(identity.RoleOwner))},
		"/api/v2/orgs/{orgID}/owners/{userID}":  {"DELETE": auth(removeMember(identity.RoleOwner))},

		"/api/v2/orgs/{orgID}/secrets":       {"GET": auth((*API).getSecrets), "PATCH": auth((*API).patchSecrets)},
		"/api/v2/orgs/{orgID}/secrets/{key}": {"GET": auth((*API).getSecret), "DELETE": auth((*API).deleteSecret), "POST": auth((*API).postSecretsDelete)},

		"/api/v2/orgs/{orgID}/secrets/{key}/description": {"PUT": auth((*API).putSecretDescription)},
		"/api/v2/orgs/{orgID}/secrets/{key}/restore":     {"POST": auth((*API).postSecretRestore)},
		"/api/v2/orgs/{orgID}/deleted-secrets":           {"GET": auth((*API).getDeletedSecrets)},
		"/api/v2/orgs/{orgID}/secret-values":             {"GET": auth((*API).getSecretValues)},
		"/api/v2/orgs/{orgID}/secret-values/{key}":       {"GET": auth((*API).getSecretValue)},

		"/api/v2/authorizations":          {"GET": {do: (*API).getAuthorizations, long: true}, "POST": auth((*API).postAuthorization)},
		"/api/v2/authorizations/{authID}": {"GET": auth((*API).getAuthorization), "PATCH": auth((*API).patchAuthorization), "DELETE": auth((*API).deleteAuthorization)},

		"/api/v2/buckets":            {"GET": auth((*API).getBuckets), "POST": auth((*API).postBucket)},
		"/api/v2/buckets/{bucketID}": {"GET": auth((*API).getBucket), "PATCH": auth((*API).patchBucket), "DELETE": auth((*API).deleteBucket)},
	}
	if a.Seals != nil {
		t["/api/v2/seal"] = methods{"GET": auth((*API).getSeal)}
		t["/api/v2/seal/rotate"] = methods{"POST": auth((*API).postSealRotate)}
		t["/api/v2/seal/change"] = methods{"POST": auth((*API).postSealChange)}
	}
	if a.Backup != nil {
		t["/api/v2/backup/kv"] = methods{"GET": {do: (*API).getBackup, long: true}}
	}
	if a.Gather != nil {
		t["/metrics"] = methods{"GET": open((*API).getMetrics), "HEAD": open((*API).getMetrics)}
	}
	return t
}

func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, errs.New(errs.NotFound, "path not found"))
}
