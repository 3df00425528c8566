// Package visit is what the pages have in common: who is asking, which organisation they are in, what a form holds, and
// how an answer or an error is shown. It knows nothing of what a page is about.
package visit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/kv"
	"strongroom/internal/pause"
	"strongroom/internal/peer"
)

// Config is what all visits need. Authn, Directory, Files, SignInAgain, Logger and Now must be set.
type Config struct {
	Authn     *authn.Service
	Directory *directory.Service
	Files     fs.FS // the folders templates and static
	// SignInAgain answers a form that came without JavaScript and without a session.
	SignInAgain Handler
	// Refusal says what an error is for a reader of pages; nil: as the API says it.
	Refusal func(*Visit, error) Refusal

	Version string
	MaxBody int64            // bytes; 4 MiB where 0
	Budget  *inflight.Budget // of the bytes that all requests hold; nil: no bound
	Pauses  *pause.Pauses    // of those who ask again and again and are not signed in; nil: none
	Secure  bool             // the server speaks TLS: cookies are marked so
	// Data says at once why the server's own data cannot be read, as far as is known; nil: nobody knows.
	Data   func() error
	Logger *slog.Logger
	Now    func() time.Time
}

const (
	defaultMaxBody = 4 << 20
	// requestTime bounds the work on one request.
	requestTime = 30 * time.Second
	// maxOpenBody bounds, in bytes, what is read from somebody who is not signed in, and formCost is how much memory a
	// byte of a form takes in all.
	maxOpenBody = 64 << 10
	formCost    = 6
)

// Server is the handler. Make it with New.
type Server struct {
	Config
	mux       *http.ServeMux
	origin    *http.CrossOriginProtection
	templates map[string]*template.Template
	static    *static
	crowd     crowd
	making    chan struct{} // one in it for each page that is being made

	idPrefix string
	idNext   atomic.Uint64
}

// Handler does what one request asks for. An answer given together with an error is the form's page, which shows the
// error and what was typed.
type Handler func(*Visit) (Answer, error)

// Route is what one pattern does.
type Route struct {
	Do Handler
	// Open needs nobody to be signed in.
	Open bool
}

// Table is what is served, by the pattern of http.ServeMux.
type Table map[string]Route

// Open is a route for everybody.
func Open(do Handler) Route { return Route{Do: do, Open: true} }

// SignedIn is a route for those who are signed in.
func SignedIn(do Handler) Route { return Route{Do: do} }

// New makes the handler of everything that the tables have, and of the static files.
func New(c Config, tables ...Table) (*Server, error) {
	if c.Authn == nil || c.Directory == nil || c.Files == nil || c.SignInAgain == nil || c.Logger == nil ||
		c.Now == nil {
		return nil, errors.New("visit: Authn, Directory, Files, SignInAgain, Logger and Now must be set")
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	f, err := openStatic(c.Files)
	if err != nil {
		return nil, err
	}
	var prefix [6]byte
	rand.Read(prefix[:]) // never fails since Go 1.24
	s := &Server{Config: c, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), static: f,
		making: making(), idPrefix: "ui" + hex.EncodeToString(prefix[:])}
	if s.templates, err = s.parseTemplates(); err != nil {
		return nil, err
	}
	s.handle("/", Open(notFound))
	for _, t := range tables {
		for pattern, rt := range t {
			s.handle(pattern, rt)
		}
	}
	s.mux.Handle("GET /static/{file}", f)
	return s, nil
}

func (s *Server) handle(pattern string, rt Route) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.visit(rt, w, r) })
}

func notFound(*Visit) (Answer, error) {
	return Answer{}, errs.New(errs.NotFound, "there is no such page")
}

// policy is what a page may load and do. There is no inline script or style, and nothing comes from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setHeaders(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), "+
		"clipboard-write=(self), clipboard-read=()")
	h.Set("Cache-Control", "no-store")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header(), s.Secure || peer.ViaOf(r).Secure)
	s.mux.ServeHTTP(w, r)
}

// visit serves one request of a route.
func (s *Server) visit(rt Route, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	v := &Visit{w: w, server: s, via: peer.ViaOf(r), live: r.Header.Get("Strongroom-Live") != "",
		ID: s.idPrefix + strconv.FormatUint(s.idNext.Add(1), 36)}
	v.Request = r.WithContext(inflight.In(ctx, &v.share))
	v.Caller = &access.Caller{Principal: &access.Principal{}, Address: peer.Host(r.RemoteAddr), RequestID: v.ID}
	defer v.share.Close()
	defer v.left()
	a, err := v.do(rt)
	err = kv.Coded(errs.Ended(err, r.Context(), ctx))
	if err != nil && errs.CodeOf(err) == errs.Internal && !errors.Is(err, context.Canceled) {
		s.Logger.Error("a page failed", "request", v.ID, "method", r.Method, "pattern", r.Pattern, "error", err)
	}
	s.write(v, a, err)
}

// turnAway has who is not signed in wait, before anything is done for them, where they ask again and again: there is a
// sign-in for them, and no more. Who is signed in has a number of places (see crowd).
func (v *Visit) turnAway(why errs.Code) {
	if v.server.Pauses.Refused(v.Context(), peer.Network(v.Caller.Address), why) {
		v.w.Header().Set("Connection", "close")
	}
}

// counted is a body that counts for what the request holds as it comes: what is announced and not sent takes nothing.
type counted struct {
	io.ReadCloser
	share *inflight.Share
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if n > 0 {
		if full := c.share.More(formCost * int64(n)); full != nil {
			return n, full
		}
	}
	return n, err
}

// do checks the origin and who is asking, reads the form, enters the organisation, and has the route's work done.
func (v *Visit) do(rt Route) (a Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			v.server.Logger.Error("a page panicked", "pattern", v.Pattern, "request", v.ID, "panic", p, "stack",
				string(debug.Stack()))
			a, err = Answer{}, errs.New(errs.Internal, "an internal error has occurred; the server's log has the "+
				"details under request %s", v.ID)
		}
	}()
	if err := v.server.origin.Check(v.Request); err != nil {
		return Answer{}, errs.Wrap(err, errs.Forbidden, "a page of another origin may not do this")
	}
	if v.fromElsewhere() {
		v.turnAway(errs.Unauthorized)
		return Answer{GoTo: arrivePath + "?next=" + url.QueryEscape(v.URL.RequestURI())}, nil
	}
	err = v.signedIn()
	if v.Session != "" { // all of a user's sessions have one share, together with their tokens
		v.share = v.server.Budget.Share(v.Caller.UserID.String())
	} else {
		v.share = v.server.Budget.Stranger(peer.Network(v.Caller.Address))
	}
	if v.Session == "" {
		v.turnAway(errs.CodeOf(err)) // whose session cannot be read is away, too
	}
	if errs.Is(err, errs.Unavailable) { // nor is it known, for a page that everybody may see, that nobody is signed in
		return Answer{}, err
	}
	if err != nil && !rt.Open {
		if !errs.Is(err, errs.Unauthorized) {
			return Answer{}, err
		}
		if full := v.enter(); full != nil {
			return Answer{}, full
		}
		return v.askToSignIn()
	}
	largest := v.server.MaxBody
	if v.Session == "" {
		largest = min(largest, maxOpenBody)
	}
	if v.Body != nil {
		v.Body = &counted{http.MaxBytesReader(v.w, v.Body, largest), &v.share}
	}
	if v.Method == http.MethodPost {
		if err := v.parseForm(); err != nil {
			return Answer{}, err
		}
	}
	// Not before the form has come: who sends it slowly would keep a place from others of their address.
	if full := v.enter(); full != nil {
		return Answer{}, full
	}
	if err := v.enterOrg(); err != nil {
		return Answer{}, err
	}
	return rt.Do(v)
}
