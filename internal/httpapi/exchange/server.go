// Package exchange is what the API's requests and answers have in common: who is asking, what a body, a path and an
// answer look like, how long the work may take, and what is counted and logged of it. A request goes through
// Server.ServeHTTP (headers, routing), route.serve (request ID, who is asking), a handler that returns an error, and,
// where it did, writeError.
package exchange

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/inflight"
	"strongroom/internal/outage"
	"strongroom/internal/pause"
)

// defaultMaxBody is the size in bytes of the largest request body taken where the Config names none.
const defaultMaxBody = 4 << 20

// maxPlainBody is the size in bytes of the largest body taken where the endpoint does not need more. Nobody who is not
// known yet is let send more.
const maxPlainBody = 64 << 10

// LargeBody is for endpoints that take a body as large as any may be.
const LargeBody = 1 << 62

// requestTime bounds the work on one request.
const requestTime = 30 * time.Second

// Config is what all exchanges need. Guard and Authn must be set.
type Config struct {
	Guard   *access.Guard
	Authn   *authn.Service
	Version string           // as X-Influxdb-Version gives it
	MaxBody int64            // bytes; defaultMaxBody where 0
	Budget  *inflight.Budget // of the bytes that all requests hold; nil: no bound
	Pauses  *pause.Pauses    // of those who are refused again and again; nil: none
	Secure  bool             // the server speaks TLS: cookies are marked so
	Metrics prometheus.Registerer
	Logger  *slog.Logger
	// Elsewhere serves every path outside the API; nil: 404.
	Elsewhere http.Handler
}

// Server is the handler. Make it with New.
type Server struct {
	Config
	mux     *http.ServeMux
	origin  *http.CrossOriginProtection
	metrics *metrics
	outages *outage.Log

	versionHeader []string // as X-Influxdb-Version has it

	idPrefix string
	idNext   atomic.Uint64
}

// Handler answers a request, or gives the error that is answered.
type Handler func(w http.ResponseWriter, r *Request) error

// Endpoint is one method of one path.
type Endpoint struct {
	Do Handler
	// Open needs nobody to be signed in.
	Open bool
	// Long may take longer than requestTime.
	Long bool
	// Waits says of which requests this is so, where it is not of all. What they wait is none of the
	// time that is measured.
	Waits func(r *Request) bool
	// Body is how long a body it takes, in bytes, within Config.MaxBody; maxPlainBody where 0,
	// LargeBody for all of MaxBody.
	Body int64
}

// Methods are what one path serves.
type Methods map[string]Endpoint

// Table is what is served, by path. Paths carry no method, so that a wrong one is answered in the API's own form.
type Table map[string]Methods

// Open is an endpoint for everybody.
func Open(do Handler) Endpoint { return Endpoint{Do: do, Open: true} }

// Auth is an endpoint for those who are known.
func Auth(do Handler) Endpoint { return Endpoint{Do: do} }

// New makes the handler of everything that the tables have.
func New(c Config, tables ...Table) (*Server, error) {
	if c.Guard == nil || c.Authn == nil {
		return nil, errors.New("exchange: Guard and Authn must be set")
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
	s := &Server{
		Config: c, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), metrics: newMetrics(c.Metrics),
		outages: outage.New(c.Logger), idPrefix: randomHex(6), versionHeader: []string{c.Version},
	}
	for _, t := range tables {
		for path, methods := range t {
			s.mux.Handle(path, &route{server: s, path: path, methods: methods,
				series: &series{metrics: s.metrics, path: path}})
		}
	}
	if c.Elsewhere != nil {
		s.mux.Handle("/", c.Elsewhere)
	} else {
		s.mux.Handle("/", http.HandlerFunc(s.notFound))
	}
	s.mux.Handle("/api/", http.HandlerFunc(s.notFound))
	s.mux.Handle("/api", http.HandlerFunc(s.notFound)) // or else the mux redirects
	return s, nil
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	writeError(w, errs.New(errs.NotFound, "path not found"))
}
