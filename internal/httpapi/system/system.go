package system

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/secret"
)

// healthTime bounds one check of the store, and healthAge is for how long its answer serves: a probe every few
// milliseconds must not become load.
const (
	healthTime = 3 * time.Second
	healthAge  = time.Second
)

// health remembers the last check of the store. One check runs at a time.
type health struct {
	store secret.Store
	mu    sync.Mutex
	at    time.Time
	err   error
}

func newHealth(s secret.Store) *health { return &health{store: s} }

func (h *health) check(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < healthAge {
		return h.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
	defer cancel()
	h.err = h.store.Check(ctx)
	h.at = time.Now()
	return h.err
}

type check struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// getHealth answers 200 with status "pass", or 503 with "fail" where the secret store cannot serve.
func (h *handlers) getHealth(w http.ResponseWriter, r *exchange.Request) error {
	body := struct {
		Name    string  `json:"name"`
		Message string  `json:"message"`
		Status  string  `json:"status"`
		Checks  []check `json:"checks"`
		Version string  `json:"version"`
		Commit  string  `json:"commit"`
	}{"influxdb", "ready for queries and writes", "pass", []check{{Name: "secret-store", Status: "pass"}}, h.Version, h.Commit}
	status := http.StatusOK
	if err := h.health.check(r.Context()); err != nil {
		status = http.StatusServiceUnavailable
		body.Status, body.Message = "fail", "the secret store cannot serve: "+errs.Message(err)
		body.Checks[0] = check{"secret-store", "fail", errs.Message(err)}
	}
	for _, d := range secret.Details(h.health.store) {
		c := check{Name: d.Name, Status: "pass", Message: d.Message}
		if !d.OK {
			c.Status = "fail" // requests are still served as long as the store is
		}
		body.Checks = append(body.Checks, c)
	}
	return exchange.WriteJSON(w, status, body)
}

// getReady answers 200 with status "ready", or 503 with "unavailable" where the secret store cannot serve.
func (h *handlers) getReady(w http.ResponseWriter, r *exchange.Request) error {
	body := struct {
		Status  string    `json:"status"`
		Started time.Time `json:"started"`
		Up      string    `json:"up"`
		Message string    `json:"message,omitempty"`
	}{Status: "ready", Started: h.started.UTC(), Up: time.Since(h.started).String()}
	status := http.StatusOK
	if err := h.health.check(r.Context()); err != nil {
		status, body.Status, body.Message = http.StatusServiceUnavailable, "unavailable", errs.Message(err)
	}
	return exchange.WriteJSON(w, status, body)
}

func (h *handlers) getPing(w http.ResponseWriter, r *exchange.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getIndex lists what is here, as InfluxDB's does.
func (h *handlers) getIndex(w http.ResponseWriter, r *exchange.Request) error {
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{
		"audit": "/api/v2/audit", "authorizations": "/api/v2/authorizations", "buckets": "/api/v2/buckets", "config": "/api/v2/config",
		"me": "/api/v2/me", "orgs": "/api/v2/orgs", "resources": "/api/v2/resources", "setup": "/api/v2/setup",
		"signin": "/api/v2/signin", "signout": "/api/v2/signout", "swagger": "/api/v2/swagger.json", "users": "/api/v2/users",
		"system": map[string]string{"health": "/health", "metrics": "/metrics", "ready": "/ready"},
	})
}

func (h *handlers) getResources(w http.ResponseWriter, r *exchange.Request) error {
	return exchange.WriteJSON(w, http.StatusOK, access.ResourceTypes)
}

// operator is the permission that only operators hold.
var operator = access.To(access.Read, access.Resource{Type: access.Instance})

func (h *handlers) getConfig(w http.ResponseWriter, r *exchange.Request) error {
	if err := h.Guard.Allow(r.Context(), r.Caller, access.Act{Action: "config.read"}, operator); err != nil {
		return err
	}
	settings := map[string]any{}
	if h.Settings != nil {
		settings = h.Settings()
	}
	return exchange.WriteJSON(w, http.StatusOK, map[string]any{"config": settings})
}

func (h *handlers) getMetrics(w http.ResponseWriter, r *exchange.Request) error {
	promhttp.HandlerFor(h.Gather, promhttp.HandlerOpts{}).ServeHTTP(w, r.Request)
	return nil
}
