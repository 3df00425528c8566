// Package vaultapi serves the KV v2 HTTP API below /v1/: what Vault's clients ask to keep and read secrets, over the
// same services of identity and secret as InfluxDB's API. It puts together its parts: mount has the secrets, system
// what is asked of the server and of tokens, and dialect what all of them share.
package vaultapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/kv"
	"strongroom/internal/pause"
	"strongroom/internal/peer"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/tracing"
	"strongroom/internal/vaultapi/approle"
	"strongroom/internal/vaultapi/dialect"
	"strongroom/internal/vaultapi/mount"
	"strongroom/internal/vaultapi/notes"
	"strongroom/internal/vaultapi/system"
)

// Prefix is what the paths of this API begin with.
const Prefix = "/v1/"

// requestTime bounds the work on one request, and maxPlainBody, in bytes, what is read of a body that sets no secret.
const (
	requestTime  = 30 * time.Second
	maxPlainBody = 64 << 10
)

// defaultMaxBody is the size in bytes of the largest request body taken where the Config names none.
const defaultMaxBody = 4 << 20

// Config is what the API serves. Guard, Authn, Directory, Secrets, Store and Notes must be set.
type Config struct {
	Guard     *access.Guard
	Authn     *authn.Service
	Directory *directory.Service
	Secrets   *service.Service
	Store     secret.Store // for the health
	Notes     *notes.Book

	Mount   string        // "secret" where ""
	Refresh time.Duration // how soon clients are told to read again; 0 leaves it to them
	NewOrgs bool          // the first write to an organisation that is not there makes it
	Merge   bool          // a write of an earlier version goes through where it changes what others have not

	MaxBody int64            // bytes
	Budget  *inflight.Budget // nil has no bound
	Pauses  *pause.Pauses    // of those who are refused again and again; nil: none
	Metrics prometheus.Registerer
	Logger  *slog.Logger
}

// Server is the handler. Make it with New.
type Server struct {
	Config
	routes    []route
	metrics   *metrics
	strangers *rate.Limiter
}

// handler answers one request, or gives the error that is answered.
type handler func(r *dialect.Request) (*dialect.Answer, error)

// route is a path, or all paths below one where it ends in a slash.
type route struct {
	path string
	open bool // needs nobody to be known
	// wraps says that it heeds X-Vault-Wrap-TTL where the answer is a secret ID.
	wraps bool
	do    handler
}

// New makes the API's handler.
func New(c Config) (*Server, error) {
	if c.Guard == nil || c.Authn == nil || c.Directory == nil || c.Secrets == nil || c.Store == nil || c.Notes == nil {
		return nil, errors.New("vaultapi: Guard, Authn, Directory, Secrets, Store and Notes must be set")
	}
	if c.Mount == "" {
		c.Mount = "secret"
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	s := &Server{Config: c, metrics: newMetrics(c.Metrics), strangers: rate.NewLimiter(strangersPerSecond,
		strangersAtOnce)}
	m := mount.New(mount.Config{Path: c.Mount, Secrets: c.Secrets, Orgs: c.Directory, Notes: c.Notes, Guard: c.Guard,
		Refresh: c.Refresh, NewOrgs: c.NewOrgs, Merge: c.Merge})
	sys := system.New(system.Config{Mount: c.Mount, Store: c.Store, Guard: c.Guard, Directory: c.Directory,
		Capabilities: m.Capabilities})
	roles := approle.New(approle.Config{Directory: c.Directory, Guard: c.Guard, Strangers: s.strangers,
		AuthBody: sys.AuthBody, Permission: system.Permission, Policies: system.Policies})
	s.routes = []route{
		{path: "sys/health", open: true, do: sys.Health},
		{path: "sys/seal-status", open: true, do: sys.SealStatus},
		{path: "sys/leader", open: true, do: sys.Leader},
		{path: "sys/init", open: true, do: sys.Init},
		{path: "sys/mounts", do: sys.Mounts},
		{path: "sys/mounts/", do: sys.OneMount},
		{path: "sys/auth", do: sys.AuthMethods},
		{path: "sys/internal/ui/mounts", open: true, do: sys.UIMounts},
		{path: "sys/internal/ui/mounts/", do: sys.UIMount},
		{path: "sys/capabilities-self", do: sys.CapabilitiesSelf},
		{path: "auth/token/lookup-self", do: sys.LookupSelf},
		{path: "auth/token/renew-self", do: sys.RenewSelf},
		{path: "auth/token/revoke-self", do: sys.RevokeSelf},
		{path: "auth/token/create", do: sys.CreateToken},
		{path: "auth/approle/login", open: true, do: roles.Login},
		{path: "auth/approle/role/", do: roles.Role, wraps: true},
		{path: "sys/wrapping/unwrap", open: true, do: roles.Unwrap},
		{path: "sys/wrapping/lookup", open: true, do: roles.LookUpWrapped},
		{path: c.Mount + "/", do: m.Serve},
	}
	return s, nil
}

// nosniffHeader is the same in every answer. Whoever adds to it gets a list of their own, since it is full.
var nosniffHeader = []string{"nosniff"}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-Content-Type-Options"] = nosniffHeader
	if !strings.HasPrefix(r.URL.Path, Prefix) {
		dialect.SendError(w, "", dialect.NotFound())
		return
	}
	escaped := r.URL.EscapedPath()
	if clean := cleanPath(escaped); clean != escaped {
		// As Vault does; clients follow one, and send their token and their body again to this same server.
		if !strings.HasPrefix(clean, Prefix) {
			dialect.SendError(w, "", dialect.NotFound())
			return
		}
		w.Header()["Cache-Control"] = []string{"no-store"}
		clean = peer.ViaOf(r).Base + clean
		if r.URL.RawQuery != "" {
			clean += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, clean, http.StatusTemporaryRedirect)
		return
	}
	start := time.Now()
	id := requestID()
	traced, span := tracing.Request(r, id)
	ctx, cancel := context.WithTimeout(traced, requestTime)
	defer cancel()
	asked, status, paused, err := s.serve(ctx, w, r, id)
	took := time.Since(start) - paused
	s.metrics.observe(asked, status, took)
	span.Answered(Prefix+asked, status)
	s.log(ctx, id, r.Method, asked, status, took, err)
}

// serve answers, and tells which route it was, with what it was answered, and how long a refusal has waited.
func (s *Server) serve(ctx context.Context, w http.ResponseWriter, r *http.Request,
	id string) (asked string, status int, paused time.Duration, err error) {
	var share inflight.Share
	defer func() { share.Close() }()
	ctx = inflight.In(ctx, &share)
	answer, asked, err := s.answer(ctx, w, r, id, &share)
	err = kv.Coded(err)
	if err == nil {
		err = share.More(answer.Size()) // as long as it is sent: a client may take its time
	}
	if err == nil {
		counted := &statusWriter{ResponseWriter: w}
		if err = dialect.Send(counted, id, answer, share.More); err == nil {
			return asked, counted.code, 0, nil
		}
	}
	e := dialect.ErrorOf(err)
	if r.Method == http.MethodHead {
		e = &dialect.Error{Status: e.Status, Empty: true}
	}
	share.Close()
	begun, code := time.Now(), errs.CodeOf(err)
	if e.Status == http.StatusForbidden { // also where nothing is said of why
		code = errs.Forbidden
	}
	if s.Pauses.Refused(ctx, peer.Network(peer.Host(r.RemoteAddr)), code) {
		w.Header()["Connection"] = []string{"close"}
	}
	paused = time.Since(begun)
	dialect.SendError(w, id, e)
	return asked, e.Status, paused, err
}

// answer finds the route and who is asking, and runs the handler.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, id string,
	share *inflight.Share) (a *dialect.Answer, asked string, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.Logger.Error("a handler panicked", "path", asked, "request", id, "panic", p, "stack",
				string(debug.Stack()))
			err = errs.New(errs.Internal, "an internal error has occurred; the server's log has the details "+
				"under request %s", id)
		}
	}()
	below := strings.TrimPrefix(r.URL.Path, Prefix)
	if !utf8.ValidString(below) {
		return nil, "", dialect.Refuse("the path is not valid UTF-8")
	}
	if strings.ContainsFunc(below, isControl) {
		return nil, "", &dialect.Error{Status: http.StatusBadRequest, Empty: true}
	}
	found := s.find(below)
	op, err := dialect.OpOf(r)
	if r.Method == http.MethodHead && found.path == "sys/health" {
		op, err = dialect.Read, nil
	}
	if err != nil {
		return nil, found.path, err
	}
	q := dialect.NewRequest(ctx, r, id, op, below)
	q.Share = share
	if err := s.identify(q, found); err != nil {
		return nil, found.path, err
	}
	limit := min(s.MaxBody, maxPlainBody)
	*share = s.Budget.Stranger(peer.Network(q.Address()))
	if q.Caller != nil {
		*share = s.Budget.Share(q.Caller.UserID.String())
		if found.path == s.Mount+"/" && mayWrite(q.Caller) {
			limit, q.Raise = s.MaxBody, "--max-body-size"
		}
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
	}
	if r.Header.Get("X-Vault-Wrap-TTL") != "" && !(found.wraps && strings.HasSuffix(below,
		"/secret-id") && op == dialect.Write) {
		return nil, found.path, errWrapping
	}
	a, err = found.do(q)
	return a, found.path, err
}

// mayWrite reports whether the caller may write any secret at all.
func mayWrite(c *access.Caller) bool {
	for _, p := range c.Permissions {
		if p.Action == access.Write && (p.Resource.Type == access.Secrets || p.Resource.Type == access.Instance) {
			return true
		}
	}
	return false
}

// errWrapping refuses what would otherwise give somebody a secret whom it was to be kept from.
var errWrapping = dialect.Refuse("answers are not wrapped here: ask without X-Vault-Wrap-TTL (-wrap-ttl)")

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// find gives the route of a path: its own, or else the longest that it is below.
func (s *Server) find(below string) route {
	best := route{path: "", do: s.unknown}
	for _, rt := range s.routes {
		if rt.path == below {
			return rt
		}
		if strings.HasSuffix(rt.path, "/") && strings.HasPrefix(below+"/", rt.path) && len(rt.path) > len(best.path) {
			best = rt
		}
	}
	return best
}

// unknown answers a path that is not there: only to who may read all secrets is it told so.
func (s *Server) unknown(r *dialect.Request) (*dialect.Answer, error) {
	if !r.Caller.May(access.To(access.Read, access.Resource{Type: access.Secrets})) {
		return nil, dialect.NotAllowed(nil)
	}
	if strings.HasPrefix(r.Path, "sys/") {
		return nil, &dialect.Error{Status: http.StatusNotFound,
			Errors: []string{"1 error occurred:\n\t* unsupported path\n\n"}}
	}
	return nil, &dialect.Error{Status: http.StatusNotFound,
		Errors: []string{fmt.Sprintf("no handler for route %q. route entry not found.", errs.Clip(r.Path))}}
}

// cleanPath is the path without double slashes and dots, its slash at the end kept.
func cleanPath(p string) string {
	c := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// log writes what happened: a fault of ours always, the rest only when asked for. Paths hold names, and are left out.
func (s *Server) log(ctx context.Context, id, method, asked string, status int, took time.Duration, err error) {
	switch {
	case err != nil && (status == http.StatusInternalServerError || errors.Is(err, kv.ErrFault)) && !errors.Is(err,
		context.Canceled):
		s.Logger.Error("a request failed", "request", id, "method", method, "path", Prefix+asked, "error", err)
	case s.Logger.Enabled(ctx, slog.LevelDebug):
		s.Logger.Debug("request", "request", id, "method", method, "path", Prefix+asked, "status", status, "took", took)
	}
}

// statusWriter remembers the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	code int
}

// WriteHeader answers the status.
func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}
