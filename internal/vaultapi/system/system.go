// Package system answers what clients of the KV v2 HTTP API ask of the server itself, of its
// mounts, and of their tokens.
package system

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/identity/directory"
	"strongroom/internal/secret"
	"strongroom/internal/vaultapi/dialect"
)

// Version is the version of the API that is spoken. Clients read it as a semantic version.
const Version = "1.14.1+strongroom"

// Config is what the handlers need; all of it must be set.
type Config struct {
	Mount     string
	Store     secret.Store
	Guard     *access.Guard
	Directory *directory.Service
	// Capabilities tells what the caller may do with a path below the mount.
	Capabilities func(ctx context.Context, c *access.Caller, path string) ([]string, error)
}

// System is the handlers. Make it with New.
type System struct {
	Config

	mu      sync.Mutex
	checked time.Time
	state   error
}

// New makes the handlers.
func New(c Config) *System { return &System{Config: c} }

// checkTime bounds one check of the store, and checkAge is for how long its answer serves: a probe every few
// milliseconds must not become load.
const (
	checkTime = 3 * time.Second
	checkAge  = time.Second
)

// sealed reports whether the store cannot serve, which is what clients know as sealed.
func (s *System) sealed(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked.IsZero() || time.Since(s.checked) >= checkAge {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
		defer cancel()
		s.state, s.checked = s.Store.Check(ctx), time.Now()
	}
	return s.state != nil
}

func (s *System) initialized(ctx context.Context) (bool, error) {
	fresh, err := s.Directory.SetupAllowed(ctx)
	return !fresh, err
}

// Health answers 200, 501 before the set-up, or 503 where the store cannot serve; the query may name other codes.
func (s *System) Health(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, &dialect.Error{Status: http.StatusMethodNotAllowed}
	}
	initialized, err := s.initialized(r.Context())
	if err != nil {
		return nil, err
	}
	sealed := s.sealed(r.Context())
	status := map[string]int{"activecode": http.StatusOK, "sealedcode": http.StatusServiceUnavailable,
		"uninitcode": http.StatusNotImplemented}
	query := r.URL.Query()
	for _, name := range []string{"activecode", "sealedcode", "uninitcode", "standbycode", "drsecondarycode",
		"performancestandbycode"} {
		asked := query.Get(name)
		if asked == "" {
			continue
		}
		code, err := strconv.Atoi(asked)
		if err != nil || code < 200 || code > 599 {
			return nil, &dialect.Error{Status: http.StatusBadRequest}
		}
		status[name] = code
	}
	a := &dialect.Answer{Status: status["activecode"]}
	replication := "disabled"
	switch {
	case !initialized:
		a.Status, replication = status["uninitcode"], "unknown"
	case sealed:
		a.Status, replication = status["sealedcode"], "unknown"
	}
	if r.Method == http.MethodHead {
		return a, nil
	}
	a.Bare = map[string]any{
		"initialized": initialized, "sealed": sealed, "standby": sealed, "performance_standby": false,
		"replication_performance_mode": replication, "replication_dr_mode": replication,
		"server_time_utc": time.Now().Unix(), "version": Version,
	}
	return a, nil
}

// SealStatus answers whether the store can serve.
func (s *System) SealStatus(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.Unsupported()
	}
	initialized, err := s.initialized(r.Context())
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{Bare: map[string]any{
		"type": "strongroom", "initialized": initialized, "sealed": s.sealed(r.Context()), "t": 1, "n": 1,
		"progress": 0, "nonce": "", "version": Version, "build_date": "", "migration": false, "recovery_seal": false,
	}}, nil
}

// Leader answers that this server stands alone.
func (s *System) Leader(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.Unsupported()
	}
	return &dialect.Answer{Bare: map[string]any{
		"ha_enabled": false, "is_self": false, "active_time": "0001-01-01T00:00:00Z", "leader_address": "",
		"leader_cluster_address": "", "performance_standby": false, "performance_standby_last_remote_wal": 0,
	}}, nil
}

// Init answers whether the server is set up. It is set up elsewhere.
func (s *System) Init(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Read {
		return nil, dialect.Unsupported()
	}
	initialized, err := s.initialized(r.Context())
	if err != nil {
		return nil, err
	}
	return &dialect.Answer{Bare: map[string]any{"initialized": initialized}}, nil
}

// CapabilitiesSelf tells what the caller may do with paths.
func (s *System) CapabilitiesSelf(r *dialect.Request) (*dialect.Answer, error) {
	if r.Op != dialect.Write {
		return nil, dialect.Unsupported()
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	paths, err := body.Texts("paths")
	if err == nil && len(paths) == 0 {
		paths, err = body.Texts("path")
	}
	switch {
	case err != nil:
		return nil, err
	case len(paths) == 0:
		return nil, dialect.Refuse("paths must be supplied")
	case len(paths) > maxPaths:
		return nil, dialect.Refuse("at most " + strconv.Itoa(maxPaths) + " paths may be asked for at a time")
	}
	if err := s.Guard.Allow(r.Context(), r.Caller, access.Act{Action: "token.capabilities"}); err != nil {
		return nil, err
	}
	found := make(map[string]any, len(paths)+1)
	for _, p := range paths {
		can, err := s.capabilities(r.Context(), r.Caller, strings.TrimPrefix(p, "/"))
		if err != nil {
			return nil, err
		}
		found[p] = can
		if len(paths) == 1 {
			found["capabilities"] = can
		}
	}
	return &dialect.Answer{Data: found, Top: found}, nil
}

const maxPaths = 1000

// capabilities returns what the caller may do at a path, "deny" where that is nothing.
func (s *System) capabilities(ctx context.Context, c *access.Caller, path string) ([]string, error) {
	switch path {
	case "auth/token/lookup-self":
		return []string{"read"}, nil
	case "auth/token/renew-self", "auth/token/revoke-self", "auth/token/create", "sys/capabilities-self":
		return []string{"update"}, nil
	case "sys/mounts", "sys/auth", "sys/internal/ui/mounts", "sys/internal/ui/mounts/" + s.Mount:
		if mayAny(c) {
			return []string{"read"}, nil
		}
	}
	if below, ok := strings.CutPrefix(path, s.Mount+"/"); ok {
		can, err := s.Capabilities(ctx, c, below)
		if err != nil || len(can) > 0 {
			return can, err
		}
	}
	return []string{"deny"}, nil
}

// mayAny reports whether the caller may do anything at all with secrets, and so see the mount.
func mayAny(c *access.Caller) bool {
	if c == nil {
		return false
	}
	for _, p := range c.Permissions {
		if p.Resource.Type == access.Secrets || p.Resource.Type == access.Instance {
			return true
		}
	}
	return false
}
