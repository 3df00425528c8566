package exchange

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/inflight"
	"strongroom/internal/kv"
	"strongroom/internal/peer"
	"strongroom/internal/tracing"
)

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

// What is the same in every answer is made once. A header's values may be shared: whoever adds one to them gets a list
// of their own, since these are full.
var (
	buildHeader = []string{"OSS"}
	closeHeader = []string{"close"}
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["X-Influxdb-Build"] = buildHeader
	h["X-Influxdb-Version"] = s.versionHeader
	h["X-Content-Type-Options"] = nosniffHeader
	if origin := r.Header.Get("Origin"); origin != "" && strings.HasPrefix(r.URL.Path, "/api/") {
		// As InfluxDB does it, for pages elsewhere that hold a token. Cookies are never allowed across origins.
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, Content-Length, Accept-Encoding, "+
				"Authorization, User-Agent")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	path := r.URL.EscapedPath()
	switch {
	case !strings.HasPrefix(path, "/api/"):
		if !isClean(path) {
			s.notFound(w, r)
			return
		}
	case strings.Contains(path, "//"):
		writeError(w, errs.New(errs.Invalid, "url missing id"))
		return
	default:
		if u := cleanURL(r.URL, path); u != r.URL {
			r = r.WithContext(r.Context()) // a copy, whose URL may be changed
			r.URL = u
		}
	}
	if err := refuseRebound(r); err != nil {
		writeError(w, err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// route serves one path.
type route struct {
	server  *Server
	path    string
	methods Methods
	series  *series
}

func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	sw := &statusWriter{ResponseWriter: w, of: r.Context()}
	var name [32]byte
	q := &Request{Request: r, server: rt.server,
		ID: string(strconv.AppendUint(append(name[:0], rt.server.idPrefix...), rt.server.idNext.Add(1), 36))}
	var span tracing.Span
	q.ctx, span = tracing.Request(r, q.ID)
	w.Header()["X-Request-Id"] = []string{q.ID}
	err := kv.Coded(errs.Ended(rt.serve(sw, q), r.Context(), q.ctx))
	took := time.Since(start)
	if err != nil && !sw.written {
		code := errs.CodeOf(err)
		if q.Caller == nil && code == errs.Conflict { // to a stranger, whose set-up comes too late
			code = errs.Forbidden
		}
		if rt.server.Pauses.Refused(r.Context(), peer.Network(q.Address()), code) {
			sw.Header()["Connection"] = closeHeader
		}
		writeError(sw, err)
	}
	if q.waits {
		took = min(took, q.worked)
	}
	rt.series.observe(r.Method, sw.status(), took)
	span.Answered(rt.path, sw.status())
	rt.log(q, sw, took, err)
}

// serve finds the method, finds out who is asking, and runs the endpoint.
func (rt *route) serve(w *statusWriter, q *Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			rt.server.Logger.Error("a handler panicked", "path", rt.path, "request", q.ID, "panic", p, "stack",
				string(debug.Stack()))
			err = errs.New(errs.Internal, "an internal error has occurred; the server's log has the details "+
				"under request %s", q.ID)
		}
	}()
	e, ok := rt.methods[q.Method]
	if !ok {
		allow := make([]string, 0, len(rt.methods))
		for m := range rt.methods {
			allow = append(allow, m)
		}
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		return errs.New(errs.MethodNotAllowed, "allow: %s", strings.Join(allow, ", "))
	}
	if q.URL.RawQuery != "" {
		if q.query, err = url.ParseQuery(q.URL.RawQuery); err != nil { // URL.Query would leave out what is broken
			return errs.New(errs.Invalid, "the query is not well formed: separate parameters by &, and escape them")
		}
	}
	q.waits = e.Waits != nil && e.Waits(q)
	if !e.Long && !q.waits {
		ctx, cancel := withDeadline(q.ctx, requestTime, &q.share)
		defer cancel() // the deadline's reason stays to be asked for
		q.ctx = ctx
	} else {
		q.ctx = inflight.In(q.ctx, &q.share)
	}
	if q.Body != nil && q.Body != http.NoBody {
		q.maxBody = min(rt.server.MaxBody, cmp.Or(e.Body, maxPlainBody))
		q.Body = http.MaxBytesReader(w, q.Body, q.maxBody)
		if q.ContentLength > q.maxBody {
			// It will be refused. Without this the server would wait for a part of it before it says so.
			w.Header()["Connection"] = closeHeader
		}
	}
	defer q.share.Close()
	if e.Open {
		q.share = rt.server.Budget.Stranger(peer.Network(q.Address()))
		if err := rt.server.sameOrigin(q); err != nil {
			return err
		}
	} else if err := rt.server.identify(q); err != nil {
		return err
	} else {
		q.share = rt.server.Budget.Share(q.Caller.UserID.String())
	}
	w.share = &q.share
	return e.Do(w, q)
}

// log writes what happened: a fault of ours always, the rest only when asked for.
func (rt *route) log(q *Request, w *statusWriter, took time.Duration, err error) {
	log := rt.server.Logger
	switch {
	case err != nil && errs.CodeOf(err) != errs.Internal && errors.Is(err, kv.ErrFault):
		rt.server.outages.Failed(q.Context(), slog.LevelError, "disk", "a request failed", "request", q.ID, "method",
			q.Method, "path", rt.path, "error", err)
	// the answer points to this line
	case err != nil && errs.CodeOf(err) == errs.Internal && !errors.Is(err, context.Canceled):
		log.Error("a request failed", "request", q.ID, "method", q.Method, "path", rt.path, "error", err)
	case log.Enabled(q.Context(), -4):
		log.Debug("request", "request", q.ID, "method", q.Method, "path", rt.path, "status", w.status(), "took", took)
	}
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	code    int
	written bool
	share   *inflight.Share
	of      context.Context // the request's, for its connection
}

func (w *statusWriter) WriteHeader(code int) {
	if !w.written {
		w.code, w.written = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.written = true
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
