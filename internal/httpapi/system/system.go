package system

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// healthTime bounds one check of the store, and healthAge is for how long its answer serves: a probe every few
// milliseconds must not become load.
const (
	healthTime = 3 * time.Second
	healthAge  = time.Second
)

// health remembers the last check of the store and of the audit log. One check runs at a time.
type health struct {
	store  secret.Store
	trail  Trail // nil: none
	mu     sync.Mutex
	at     time.Time
	err    error // of the store
	record audit.Health
}

func newHealth(s secret.Store, t Trail) *health { return &health{store: s, trail: t} }

// dataCheck tells whether the embedded data can be written to, and what the server is ready for.
func (h *handlers) dataCheck() (c check, ready string) {
	c, ready = check{Name: "data", Status: "pass"}, "ready for queries and writes"
	err := h.Data.Health()
	if err == nil {
		return c, ready
	}
	c.Status, c.Message = "fail", strings.TrimPrefix(err.Error(), "kv: ") // requests that read are still served
	return c, "ready for queries, and not for writes: " + c.Message
}

// check gives how the audit log is, and the error of the store.
func (h *health) check(ctx context.Context) (audit.Health, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < healthAge {
		return h.record, h.err
	}
	h.record = audit.Health{OK: true}
	if h.trail != nil {
		h.record = h.trail.Health(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
	defer cancel()
	h.err = h.store.Check(ctx)
	h.at = time.Now()
	return h.record, h.err
}

type check struct {
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// getHealth answers 200 with status "pass", or 503 with "fail" where the secret store cannot serve or no
// act can be put on record.
func (h *handlers) getHealth(w http.ResponseWriter, r *exchange.Request) error {
	body := struct {
		Name    string  `json:"name"`
		Message string  `json:"message"`
		Status  string  `json:"status"`
		Checks  []check `json:"checks"`
		Version string  `json:"version"`
		Commit  string  `json:"commit"`
	}{"influxdb", "ready for queries and writes", "pass", []check{{Name: "secret-store", Status: "pass"}},
		h.Version, h.Commit}
	record, err := h.health.check(r.Context())
	if err != nil {
		body.Checks[0] = check{"secret-store", "fail", errs.Message(err)}
	}
	details := h.health.store.About(0).Details
	if h.Certificates != nil {
		for _, c := range h.Certificates() {
			details = append(details, secret.Detail{Name: c.Name, OK: c.OK, Message: c.Message})
		}
	}
	for _, d := range details {
		c := check{Name: d.Name, Status: "pass", Message: d.Message}
		if !d.OK {
			c.Status = "fail" // requests are still served as long as the store is
		}
		body.Checks = append(body.Checks, c)
	}
	if h.Data != nil {
		var c check
		c, body.Message = h.dataCheck()
		body.Checks = append(body.Checks, c)
	}
	if h.Seals != nil {
		if why := h.Seals.KeyLost(); why != "" {
			body.Checks = append(body.Checks, check{"seal-key", "fail", why}) // as above
		}
	}
	if h.Named != nil {
		if why := h.Named(); why != "" {
			body.Checks = append(body.Checks, check{"server-name", "fail", why}) // as above
		}
	}
	if h.Unfinished != nil {
		if why := h.Unfinished(); why != "" {
			body.Checks = append(body.Checks, check{"deletions", "fail", why}) // as above
		}
	}
	if h.Damage != nil {
		if why := h.Damage(); why != "" {
			body.Checks = append(body.Checks, check{"records", "fail", why}) // as above
		}
	}
	if h.Trail != nil {
		c := check{"audit-log", "pass", strings.Join(record.Problems, "; ")}
		if len(record.Problems) > 0 {
			c.Status = "fail" // as above
		}
		body.Checks = append(body.Checks, c)
	}
	status := http.StatusOK
	if why := h.unavailable(record, err); why != "" {
		status, body.Status, body.Message = http.StatusServiceUnavailable, "fail", why
	}
	return exchange.WriteJSON(w, status, body)
}

// unavailable says why nothing can be done, "" where something can. Wherever the secrets are, nobody is known where the
// data cannot be reached.
func (h *handlers) unavailable(record audit.Health, store error) string {
	var lost error
	if h.Data != nil {
		lost = h.Data.Health()
	}
	switch {
	case store != nil:
		return "the secret store cannot serve: " + errs.Message(store)
	case !record.OK:
		return strings.Join(record.Problems, "; ")
	case kv.Unreadable(lost):
		return strings.TrimPrefix(lost.Error(), "kv: ")
	}
	return ""
}

// getReady answers 200 with status "ready", or 503 with "unavailable" where the secret store cannot serve or no
// act can be put on record.
func (h *handlers) getReady(w http.ResponseWriter, r *exchange.Request) error {
	body := struct {
		Status  string    `json:"status"`
		Started time.Time `json:"started"`
		Up      string    `json:"up"`
		Message string    `json:"message,omitempty"`
	}{Status: "ready", Started: h.started.UTC(), Up: time.Since(h.started).String()}
	status := http.StatusOK
	record, err := h.health.check(r.Context())
	if why := h.unavailable(record, err); why != "" {
		status, body.Status, body.Message = http.StatusServiceUnavailable, "unavailable", why
		if err != nil {
			body.Message = errs.Message(err)
		}
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
		"audit": "/api/v2/audit", "authorizations": "/api/v2/authorizations", "buckets": "/api/v2/buckets",
		"config": "/api/v2/config", "me": "/api/v2/me", "orgs": "/api/v2/orgs", "resources": "/api/v2/resources",
		"setup": "/api/v2/setup", "signin": "/api/v2/signin", "signout": "/api/v2/signout",
		"swagger": "/api/v2/swagger.json", "users": "/api/v2/users", "system": map[string]string{"health": "/health",
			"metrics": "/metrics", "ready": "/ready"},
	})
}

func (h *handlers) getResources(w http.ResponseWriter, r *exchange.Request) error {
	return exchange.WriteJSON(w, http.StatusOK, access.ResourceTypes)
}

// operator is the permission that only operators hold.
var operator = access.ReadServer

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
